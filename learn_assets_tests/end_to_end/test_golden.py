"""The golden extract from raw files to cohort and narratives, against the answers of LEARN."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.sources.ingest import ingest_rxnorm, ingest_table
from learn_assets.study import Study
from learn_assets.validation.validate import validate_table
from learn_assets.vocabulary.coverage import coverage_below
from learn_assets_tests.canonical import assert_no_failed_tests, run_all, write_vocabulary

GOLDEN = Path(__file__).parent.parent / "fixtures" / "learn_golden"
RAW_TABLES = (
    *("patient", "diagnosis", "procedure", "medication", "lab_result", "terminology"),
    "cohort_table",
)
WINDOWS = ("LIS-730_BP-180_FUP-1825", "LIS-365_BP-365_FUP-730")


@pytest.fixture(scope="module")
def study() -> Study:
    """LEARN's published protocol on the golden extract."""
    return Study.model_validate(
        {
            "name": "golden",
            "title": "Golden extract",
            "source": {
                "format": "trinetx",
                "folder": GOLDEN,
                "cohort_table": GOLDEN / "final_data_yrCut0.txt",
                "rxnorm": GOLDEN / "RxNorm_full_12022024" / "rrf",
            },
            "cohort": {
                "mode": "supplied",
                "policy": "published",
                "exclusions": [
                    {"name": "drug_induced_lupus"},
                    {"name": "cancer"},
                    {"name": "other_rheumatic_disease"},
                ],
                "minimum_records": {"diagnosis": 20, "procedure": 20, "medication": 1},
            },
            "windows": [
                {"LIS": 730, "BP": 180, "FUP": 1825},
                {"LIS": 365, "BP": 365, "FUP": 730},
            ],
            "narratives": {"order": "chronological", "dates": "absolute"},
            "counts": {"roll_up_icd": False},
        }
    )


@pytest.fixture(scope="module")
def golden(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake filled from the raw files by the real code, every model built."""
    lake = Lake(tmp_path_factory.mktemp("golden") / "lake")
    for table in RAW_TABLES:
        ingest_table(study, lake, table)
        report = validate_table(study, lake, table)
        assert report.rows_quarantined == 0
    ingest_rxnorm(study, lake)
    write_vocabulary(study, lake)
    assert_no_failed_tests(run_all(study, lake))
    return lake


@pytest.mark.slow
@pytest.mark.parametrize("window", WINDOWS)
def test_cohort_labels_and_enough_records_are_learns(golden: Lake, window: str) -> None:
    expected = pl.read_csv(GOLDEN / "expected" / f"cohort_{window}.csv", infer_schema=False)
    found = golden.read("cohort", window).select(
        "patient_id",
        pl.col("label").replace_strict({1: "Case", 0: "Control"}, return_dtype=pl.String),
        pl.col("index_date").dt.to_string("%Y-%m-%d"),
        pl.col("enough_records").replace_strict({True: "True", False: "False"}),
    )
    assert found.sort("patient_id").equals(expected.select(found.columns).sort("patient_id"))


@pytest.mark.slow
@pytest.mark.parametrize("window", WINDOWS)
def test_narratives_are_learns_byte_for_byte(golden: Lake, window: str) -> None:
    expected = pl.read_parquet(GOLDEN / "expected" / f"narratives_{window}.parquet")
    found = (
        golden.read("narratives")
        .join(golden.read("cohort", window), on="patient_id", how="semi")
        .select("patient_id", "kind", "text")
    )
    keys = ["patient_id", "kind"]
    assert found.sort(keys).equals(expected.select(found.columns).sort(keys))


@pytest.mark.slow
def test_every_record_is_described(golden: Lake, study: Study) -> None:
    coverage = coverage_below(study, golden.read("description_coverage"))
    assert coverage.below == ()
    assert set(coverage.by_kind.values()) == {1.0}
    assert golden.read("unmapped_codes").height == 0


@pytest.mark.slow
@pytest.mark.parametrize("window", WINDOWS)
def test_attrition_ends_with_the_cohort(golden: Lake, window: str) -> None:
    attrition = golden.read("attrition", window)
    assert attrition["remaining"][0] == golden.read("index_events").height
    assert attrition["remaining"][-1] == golden.read("cohort", window).height
    assert attrition["name"].to_list() == [
        "index_event",
        "outcome_before_risk_period",
        "age_at_index",
        "drug_induced_lupus",
        "cancer",
        "other_rheumatic_disease",
        "length_in_system",
        "follow_up",
    ]
