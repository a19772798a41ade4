"""Texts keep the boundaries of diagnoses; the split keeps patients and equal texts together."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.subtypes.description_vectors import NO_DESCRIPTION
from learn_assets.subtypes.language.split import held_out_rows
from learn_assets.subtypes.language.texts import (
    code_texts,
    diagnosis_texts,
    text_key,
    write_diagnosis_texts,
)
from learn_assets.validation.contracts import check_table
from learn_assets_tests.subtypes.language.made import DESCRIPTIONS, make_discharges


def test_a_text_is_its_diagnoses_in_order_each_once() -> None:
    discharges = make_discharges(1).with_columns(diagnoses=pl.Series([["F01", "F00", "F01"]]))
    row = diagnosis_texts(discharges, DESCRIPTIONS).row(0, named=True)
    assert row["descriptions"] == ["chronic viral hepatitis", "opioid dependence"]
    assert row["text"] == "chronic viral hepatitis; opioid dependence"
    assert row["text_key"] == text_key(row["descriptions"][::-1])
    assert row["text_key"] != text_key(row["descriptions"][:1])


def test_the_table_is_the_same_in_blocks_of_any_size(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write("discharges", make_discharges(50))
    described = pl.DataFrame(
        {"code": list(DESCRIPTIONS), "description": [None, *list(DESCRIPTIONS.values())[1:]]}
    )
    lake.write("diagnosis_description", described)
    whole = write_diagnosis_texts(lake)
    monkeypatch.setattr("learn_assets.subtypes.language.texts._BLOCK_ROWS", 7)
    assert write_diagnosis_texts(lake) == whole
    assert check_table(lake.path("diagnosis_texts"), "diagnosis_texts").passed
    # A code without a text of its own still is a diagnosis.
    assert code_texts(described)["F00"] == NO_DESCRIPTION
    assert lake.read("diagnosis_texts")["text"].str.contains(NO_DESCRIPTION).any()


@pytest.mark.parametrize("seed", range(5))
def test_neither_patient_nor_text_is_on_both_sides(seed: int) -> None:
    generator = np.random.default_rng(seed)
    keys = [f"key {k}" for k in generator.integers(150, size=400)]
    patients = [None if p > 200 else f"{p}" for p in generator.integers(400, size=400)]
    out = held_out_rows(keys, patients, 0.1, seed)
    assert 0.03 <= out.mean() <= 0.11
    for names in (keys, patients):
        inside = {name for name, held in zip(names, out, strict=True) if not held}
        outside = {name for name, held in zip(names, out, strict=True) if held}
        assert not (inside & outside) - {None}


def test_the_split_follows_from_texts_and_seed_not_from_the_order_of_rows() -> None:
    keys = [f"key {number}" for number in range(200)]
    nobody: list[str | None] = [None] * 200
    out = held_out_rows(keys, nobody, 0.1, 1)
    order = np.random.default_rng(0).permutation(200)
    assert (held_out_rows([keys[i] for i in order], nobody, 0.1, 1) == out[order]).all()
    assert (held_out_rows(keys, nobody, 0.1, 2) != out).any()


def test_one_group_of_everybody_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="none can be held out"):
        held_out_rows(["a", "b", "a"], ["1", "1", None], 0.1, 0)
