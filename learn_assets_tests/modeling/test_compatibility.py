"""Compatibility: a bundle made under other rules is refused with the reason, piece by piece."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from learn_assets.modeling.bundle import Provenance
from learn_assets.modeling.compatibility import (
    IncompatibleBundleError,
    assert_compatible,
    differences,
    origin_of,
)
from learn_assets.modeling.features import EncoderIdentity
from learn_assets.study import EncoderChoice, Study
from learn_assets_tests.defs.made import tiny_study
from learn_assets_tests.modeling.site import ENCODER

CODES = pl.DataFrame(
    {
        "list": ["systemic_lupus_erythematosus", "antinuclear_antibody", "lupus_nephritis"],
        "code_system": ["ICD-10-CM", "LOINC", "ICD-10-CM"],
        "code": ["M321", "5048-4", "M3214"],
        "match": ["prefix", "exact", "prefix"],
    }
)


def origin(
    study: Study | None = None, codes: pl.DataFrame = CODES, choice: EncoderChoice | None = None
) -> Provenance:
    made = study or tiny_study()
    return origin_of(made, "LIS-180_BP-0_FUP-1825", ENCODER, choice or made.encoders[0], codes)


def changed_codes(name: str) -> pl.DataFrame:
    mine = pl.col("list") == name
    return CODES.with_columns(
        pl.when(mine).then(pl.lit("X")).otherwise(pl.col("code")).alias("code")
    )


def cohort(**rules: Any) -> Study:
    document = tiny_study().model_dump(mode="json", by_alias=True, exclude_none=True)
    return Study.model_validate({**document, "cohort": {**document["cohort"], **rules}})


OTHERS: dict[str, Provenance] = {
    "version": replace(origin(), version="9.0.0"),
    "window": replace(origin(), window="LIS-1_BP-0_FUP-9"),
    "encoder": replace(origin(), encoder=EncoderIdentity("minilm", "2")),
    "embedding": origin(choice=EncoderChoice(id="minilm", overlap_tokens=1)),
    "narratives": origin(tiny_study(narratives={"order": "chronological"})),
    "counts": origin(tiny_study(counts={"roll_up_icd": False})),
    "models": origin(tiny_study(models={"include_medication": False})),
    "cohort": origin(cohort(policy="published")),
    "code_lists": origin(codes=changed_codes("systemic_lupus_erythematosus")),
}


@pytest.mark.parametrize("part", OTHERS)
def test_what_changes_a_score_is_refused_with_its_name(part: str) -> None:
    assert {item.part for item in differences(OTHERS[part], origin())} == {part}
    with pytest.raises(IncompatibleBundleError, match=r"does not fit: .*\w"):
        assert_compatible(OTHERS[part], origin())


def test_what_changes_no_score_is_no_difference() -> None:
    quieter = tiny_study(
        title="Another title",
        models={"learners": ["xgboost"], "folds": 3, "seed": 1},
        counts={"minimum_patients": 3},
    )
    moved = EncoderChoice(id="minilm", path="/elsewhere")
    assert differences(origin(quieter, choice=moved), origin()) == ()
    severe = cohort(severe_outcomes=[{"name": "a", "code_list": "lupus_nephritis"}])
    assert differences(origin(severe, codes=changed_codes("lupus_nephritis")), origin()) == ()


def test_a_later_release_of_the_same_series_is_no_difference() -> None:
    now = replace(origin(), version="0.3.1")
    assert differences(replace(now, version="0.3.9"), now) == ()
    assert differences(replace(now, version="0.4.0"), now)
    stable = replace(origin(), version="1.2.0")
    assert differences(replace(stable, version="1.9.0"), stable) == ()


def test_only_what_a_person_accepted_passes() -> None:
    other = OTHERS["code_lists"]
    assert [item.part for item in assert_compatible(other, origin(), ("code_lists",))] == [
        "code_lists"
    ]
    with pytest.raises(IncompatibleBundleError, match="systemic_lupus_erythematosus"):
        assert_compatible(other, origin(), ("cohort",))
