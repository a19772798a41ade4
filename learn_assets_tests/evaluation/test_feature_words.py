"""Words of features."""

from __future__ import annotations

import polars as pl

from learn_assets.evaluation.feature_words import feature_words


def test_words_come_from_the_first_table_that_has_the_code() -> None:
    site = pl.DataFrame(
        {
            "code_system": ["ICD-10-CM", "RxNorm"],
            "code": ["m32.1", "7"],
            "description": ["Lupus, organs", "drug"],
        }
    )
    packaged = pl.DataFrame(
        {
            "code_system": ["ICD-10-CM", "ICD-10-CM"],
            "code": ["M321", "M32"],
            "description": ["other words", "Lupus"],
        }
    )
    names = [
        "diagnosis|ICD-10-CM|M321",
        "diagnosis|ICD-10-CM|M32|last-365",
        "medication|RxNorm|7",
        "lab|LOINC|1-1|mg/dl",
        "age_at_index",
        "supplied|column",
    ]
    assert feature_words(names, site, packaged) == {
        names[0]: "Lupus, organs",
        names[1]: "Lupus, last 365 days",
        names[2]: "drug",
    }
    assert feature_words([], site) == {}
