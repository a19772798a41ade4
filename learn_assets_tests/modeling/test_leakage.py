"""Guards against leaks: each planted leak is stopped by name."""

from __future__ import annotations

import polars as pl
import pytest

from learn_assets.modeling.features import DuplicatePatientError
from learn_assets.modeling.leakage import (
    LeakError,
    assert_disjoint,
    assert_no_outcome_feature,
    assert_one_fold_per_patient,
    forbidden_features,
)

OUTCOME = pl.DataFrame(
    {
        "list": ["sle"] * 3,
        "code_system": ["ICD-10-CM", "ICD-9-CM", "SNOMED"],
        "code": ["M32", "7100", "55464009"],
        "match": ["prefix", "exact", "exact"],
    }
)


@pytest.mark.parametrize(
    "feature",
    [
        "diagnosis|ICD-10-CM|M32",
        "diagnosis|ICD-10-CM|M3214",
        "diagnosis|ICD-10-CM|M32.14",
        "diagnosis|ICD-10-CM|M3210|last-365",
        "diagnosis|ICD-9-CM|7100",
        "procedure|SNOMED|55464009",
    ],
)
def test_outcome_code_among_the_features_is_a_leak(feature: str) -> None:
    with pytest.raises(LeakError, match="1 of 2 features"):
        assert_no_outcome_feature(("diagnosis|ICD-10-CM|J45", feature), OUTCOME)


@pytest.mark.parametrize(
    "feature",
    [
        "diagnosis|ICD-10-CM|M3",  # a chapter holds other diseases too
        "diagnosis|ICD-9-CM|710",
        "diagnosis|ICD-9-CM|71001",  # exact list entry
        "procedure|CPT|7100",  # the same digits in another code system
        "supplied|M32",
        "age",
    ],
)
def test_other_features_pass(feature: str) -> None:
    assert forbidden_features((feature,), OUTCOME) == ()
    assert_no_outcome_feature((feature,), OUTCOME.clear())


def test_code_list_without_match_is_refused() -> None:
    with pytest.raises(KeyError, match="match"):
        forbidden_features(("a|b|c",), OUTCOME.drop("match"))


def predictions(patients: list[str], folds: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {"patient_id": patients, "fold": folds, "feature_set": "count", "learner": "svm"}
    )


def test_patient_in_two_folds_is_a_leak() -> None:
    assert_one_fold_per_patient(predictions(["a", "b"], [0, 1]))
    with pytest.raises(LeakError, match="1 patients"):
        assert_one_fold_per_patient(predictions(["a", "b", "a"], [0, 1, 1]))


def test_patient_twice_in_a_fold_is_refused() -> None:
    with pytest.raises(DuplicatePatientError):
        assert_one_fold_per_patient(predictions(["a", "a"], [0, 0]))


def test_patient_on_both_sides_of_a_split_is_a_leak() -> None:
    assert_disjoint(["a"], ["b"])
    with pytest.raises(LeakError, match="1 patients"):
        assert_disjoint(["a", "b"], ["b"])
