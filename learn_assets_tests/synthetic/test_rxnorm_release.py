"""The invented RxNorm release: real layout, and the traps a reader of it must not fall into."""

from __future__ import annotations

from pathlib import Path

import pytest

from learn_assets.synthetic.drugs import products
from learn_assets.synthetic.rxnorm_release import write_release

FIELDS = {"RXNCONSO.RRF": 18, "RXNSAT.RRF": 13, "RXNREL.RRF": 16, "RXNATOMARCHIVE.RRF": 16}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    folder: Path = tmp_path_factory.mktemp("rxnorm")
    write_release(folder)
    return {
        name: [line.split("|") for line in (folder / name).read_text().splitlines()]
        for name in FIELDS
    }


def test_every_line_has_the_documented_fields_and_a_trailing_pipe(
    release: dict[str, list[list[str]]],
) -> None:
    for name, rows in release.items():
        assert rows
        assert {len(row) for row in rows} == {FIELDS[name] + 1}
        assert {row[-1] for row in rows} == {""}


def test_the_first_name_of_a_drug_is_not_its_best(release: dict[str, list[list[str]]]) -> None:
    item = products()[0]
    names = [row for row in release["RXNCONSO.RRF"] if row[0] == str(item.rxcui)]
    assert names[0][14] != item.name
    best = [r for r in names if r[1] == "ENG" and r[11:13] == ["RXNORM", "SCD"] and r[16] == "N"]
    assert [row[14] for row in best] == [item.name]


def test_retired_codes_lead_on_through_the_archive(release: dict[str, list[list[str]]]) -> None:
    current = {row[0] for row in release["RXNCONSO.RRF"]}
    merged = {row[12]: row[15] for row in release["RXNATOMARCHIVE.RRF"]}
    assert merged
    assert not set(merged) & current
    assert set(merged.values()) <= current


def test_every_clinical_drug_reaches_its_ingredient(release: dict[str, list[list[str]]]) -> None:
    # RXCUI2 has the relation to RXCUI1: the drug consists of a component that has an ingredient.
    component = {r[4]: r[0] for r in release["RXNREL.RRF"] if r[7] == "consists_of"}
    ingredient = {r[4]: r[0] for r in release["RXNREL.RRF"] if r[7] == "has_ingredient"}
    for item in products():
        assert ingredient[component[str(item.rxcui)]] == str(item.ingredient_rxcui)
