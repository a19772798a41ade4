"""Packaged ICD titles: billable codes, categories, and one row a code."""

from __future__ import annotations

import polars as pl
import pytest

from learn_assets.vocabulary.icd import packaged_descriptions


@pytest.fixture(scope="module")
def titles() -> pl.DataFrame:
    return packaged_descriptions()


@pytest.mark.parametrize(
    ("code_system", "code", "words"),
    [
        ("ICD-10-CM", "M3214", "Glomerular disease in systemic lupus erythematosus"),
        ("ICD-10-CM", "M32", "Systemic lupus erythematosus"),
        ("ICD-9-CM", "7100", "Systemic lupus erythematosus"),
        ("ICD-10-PCS", "0016070", "Bypass Cerebral Ventricle to Nasopharynx"),
        ("ICD-9-PCS", "0001", "Therapeutic ultrasound of vessels of head and neck"),
    ],
)
def test_known_codes(titles: pl.DataFrame, code_system: str, code: str, words: str) -> None:
    row = titles.filter(code_system=code_system, code=code)
    assert row["description"].item().startswith(words)


def test_one_title_a_code_in_the_spelling_models_compare(titles: pl.DataFrame) -> None:
    assert not titles.select("code_system", "code").is_duplicated().any()
    assert titles["code"].str.contains(r"^[A-Z0-9]+$").all()
    assert titles["description"].str.len_chars().min() > 0
