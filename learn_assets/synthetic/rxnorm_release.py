"""A small RxNorm-style release: four RRF files in the layout NLM documents, invented content.

What belongs here: writing RXNCONSO, RXNSAT, RXNREL and RXNATOMARCHIVE (pipe separated, no header,
trailing pipe; columns of the RxNorm technical documentation, section 12).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from learn_assets.synthetic.drugs import Product, products, written_ndc


def write_release(folder: Path) -> None:
    """Write the four files into `folder`, which must exist."""
    items = products()
    _write(folder / "RXNCONSO.RRF", _names(items))
    _write(folder / "RXNSAT.RRF", _attributes(items))
    _write(folder / "RXNREL.RRF", _relations(items))
    _write(folder / "RXNATOMARCHIVE.RRF", _archive(items))


def _write(path: Path, rows: Iterable[tuple[str, ...]]) -> None:
    text = "".join("|".join(row) + "|\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def _names(items: tuple[Product, ...]) -> Iterator[tuple[str, ...]]:
    # A label's wording comes first on purpose: the first name of a drug is not its best one.
    for item in items:
        label = f"{item.name.upper()}, SAMPLE PHARMACY 30 COUNT"
        yield _name(item.rxcui, 1, "MTHSPL", "DP", label)
        yield _name(item.rxcui, 2, "RXNORM", "SY", f"{item.name} (synonym)")
        yield _name(item.rxcui, 3, "RXNORM", "PSN", item.name)
        yield _name(item.rxcui, 4, "RXNORM", "SCD", item.name)
        yield _name(item.rxcui, 5, "RXNORM", "SCD", f"obsolete {item.name}", suppress="O")
        yield _name(item.rxcui, 6, "RXNORM", "SCD", f"es {item.name}", language="SPA")
        yield _name(item.component_rxcui, 1, "RXNORM", "SCDC", item.name)
        if item.brand_rxcui is not None:
            yield _name(item.brand_rxcui, 1, "MTHSPL", "DP", item.brand_name.upper())
            yield _name(item.brand_rxcui, 2, "RXNORM", "SBD", item.brand_name)
    for rxcui, ingredient in sorted({(i.ingredient_rxcui, i.ingredient) for i in items}):
        yield _name(rxcui, 1, "MTHSPL", "SU", ingredient.replace("_", " ").upper())
        yield _name(rxcui, 2, "RXNORM", "IN", ingredient.replace("_", " "))


def _name(
    rxcui: int, atom: int, source: str, term_type: str, text: str,
    *, suppress: str = "N", language: str = "ENG",
) -> tuple[str, ...]:  # fmt: skip
    atom_id = f"{rxcui}{atom}"
    return (
        str(rxcui), language, "", "", "", "", "", atom_id, "", str(rxcui), "", source, term_type,
        str(rxcui), text, "", suppress, "4096",
    )  # fmt: skip


def _attributes(items: tuple[Product, ...]) -> Iterator[tuple[str, ...]]:
    for position, item in enumerate(items):
        yield _attribute(item.rxcui, "RXN_AVAILABLE_STRENGTH", item.form, "RXNORM", "N")
        for package, ndc in enumerate(item.ndcs):
            retired = item.retired_rxcui if package == 3 else None
            source = "MTHSPL" if package == 1 else "RXNORM"
            written = written_ndc(ndc, 1) if source == "MTHSPL" else ndc
            obsolete = "O" if package == 2 and position % 4 == 0 else "N"
            yield _attribute(retired or item.rxcui, "NDC", written, source, obsolete)


def _attribute(rxcui: int, name: str, value: str, source: str, suppress: str) -> tuple[str, ...]:
    return (
        str(rxcui), "", "", f"{rxcui}4", "AUI", str(rxcui), "", "", name, source, value, suppress,
        "4096",
    )  # fmt: skip


def _relations(items: tuple[Product, ...]) -> Iterator[tuple[str, ...]]:
    # RELA is what the second concept is to the first: "RXCUI2 has_ingredient RXCUI1".
    number = 0
    for item in items:
        pairs = [
            (item.component_rxcui, "consists_of", item.rxcui),
            (item.rxcui, "constitutes", item.component_rxcui),
            (item.ingredient_rxcui, "has_ingredient", item.component_rxcui),
            (item.component_rxcui, "ingredient_of", item.ingredient_rxcui),
        ]
        if item.brand_rxcui is not None:
            pairs.append((item.rxcui, "tradename_of", item.brand_rxcui))
            pairs.append((item.brand_rxcui, "has_tradename", item.rxcui))
        for first, relation, second in pairs:
            number += 1
            yield (
                str(first), "", "CUI", "RO", str(second), "", "CUI", relation, str(number), "",
                "RXNORM", "", "", "", "N", "4096",
            )  # fmt: skip


def _archive(items: tuple[Product, ...]) -> Iterator[tuple[str, ...]]:
    for item in items:
        if item.retired_rxcui is None:
            continue
        retired = str(item.retired_rxcui)
        yield (
            f"{retired}1", "", item.name, "01-JAN-15", "01-JAN-05", "01-JAN-15", retired, "", "ENG",
            "01-DEC-14", "", "RXNORM_14AA_141201F", retired, "RXNORM", "SCD", str(item.rxcui),
        )  # fmt: skip
