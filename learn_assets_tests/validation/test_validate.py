"""Validation: every planted bad row is found for its own reason, and every row is accounted for."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from learn_assets.lake import Lake, MissingTableError
from learn_assets.sources.ingest import RAW_TABLES, ingest_table
from learn_assets.validation.cohort_features import may_be_feature
from learn_assets.validation.contracts import check_table
from learn_assets.validation.validate import validate_table
from learn_assets_tests.extracts import (
    DIAGNOSES,
    EVENT_HEADER,
    GOLDEN,
    PATIENTS,
    csv_text,
    golden_study,
    load,
    study_of,
    trinetx_study,
    write_extract,
)

TODAY = date(2026, 1, 1)
GOOD = "001,e1,ICD-10-CM,M32.10,20140102"

DIRTY = {
    "001,e1,ICD-10-CM,M32.11,sometime": ("unreadable_date", "date"),
    "001,e1,ICD-10-CM,M32.11,": ("missing_date", "date"),
    "001,e1,ICD-10-CM,M32.11,20230230": ("impossible_date", "date"),
    "001,e1,ICD-10-CM,M32.11,20260102": ("future_date", "date"),
    ",e1,ICD-10-CM,M32.11,20140102": ("missing_patient_id", "patient_id"),
    "001,e1,ICD-10-CM,,20140102": ("missing_code", "code"),
    "001,e1,LOCAL,M32.11,20140102": ("unknown_code_system", "code_system"),
    "001,e1,,M32.11,20140102": ("unknown_code_system", "code_system"),
    "999,e1,ICD-10-CM,M32.11,20140102": ("unknown_patient", "patient_id"),
    "001,e1,ICD-10-CM,M32.11,19491231": ("before_birth", "date"),
    "002,e1,ICD-10-CM,M32.11,20150830": ("after_death", "date"),
    GOOD: ("duplicate_row", None),
    "001,e1,ICD-10-CM,M32.11": ("wrong_column_count", None),
    "001,e1,ICD-10-CM,M32.11,20140102,": ("wrong_column_count", None),
    '001,"e1,ICD-10-CM,M32.11,20140102': ("unbalanced_quote", None),
}


def test_each_planted_row_is_quarantined_for_its_reason(tmp_path: Path, lake: Lake) -> None:
    lines = [",".join(EVENT_HEADER), GOOD, *DIRTY, "001,e1,ICD-10-CM,\\xff,20140102"]
    data = "\n".join(lines).encode().replace(b"\\xff", b"\xff")
    folder = write_extract(tmp_path / "site", diagnosis=data)
    _, report = load(trinetx_study(folder), lake, "patient", "diagnosis", today=TODAY)
    found = {
        row["source_row"]: (row["reason"], row["column"])
        for row in lake.read("diagnosis_quarantine").iter_rows(named=True)
    }
    expected = dict(enumerate([*DIRTY.values(), ("bad_encoding", None)], start=3))
    assert found == expected
    assert report.rows_kept == 1
    assert report.rows_quarantined == len(expected)
    assert dict(report.reasons) == Counter(reason for reason, _ in expected.values())
    assert check_table(lake.path("diagnosis_quarantine"), "diagnosis_quarantine").passed


def test_the_edges_of_life_are_kept(tmp_path: Path, lake: Lake) -> None:
    rows = [
        ("001", "", "ICD-10-CM", "P07", "19500101"),
        # The patient died in June 2015: its last day and 60 days more.
        ("002", "", "ICD-10-CM", "I46", "20150829"),
        ("a3", "", "ICD-10-CM", "I10", "19000102"),
    ]
    folder = write_extract(tmp_path / "site", diagnosis=csv_text(EVENT_HEADER, rows))
    _, report = load(trinetx_study(folder), lake, "patient", "diagnosis", today=TODAY)
    assert report.rows_kept == 3


def test_quarantined_rows_keep_their_text(tmp_path: Path, lake: Lake) -> None:
    text = csv_text(EVENT_HEADER, [("001", "e,1", "LOCAL", "x", "20140102")])
    folder = write_extract(tmp_path / "site", diagnosis=text)
    load(trinetx_study(folder), lake, "patient", "diagnosis")
    row = lake.read("diagnosis_quarantine").row(0, named=True)
    assert row["record"] == "001,e,1,LOCAL,x,20140102"
    assert (row["source_file"], row["source_row"]) == ("diagnosis.csv", 2)


def test_rows_are_sorted_by_patient_day_and_source_order(tmp_path: Path, lake: Lake) -> None:
    rows = [
        ("b", "", "CPT", "2", "20140102"),
        ("a", "", "CPT", "9", "20140102"),
        ("a", "", "CPT", "1", "20140102"),
        ("a", "", "CPT", "5", "20130102"),
    ]
    people = [(name, "F", "", "", "", "") for name in "ab"]
    folder = write_extract(
        tmp_path / "site", patients=people, diagnosis=csv_text(EVENT_HEADER, rows)
    )
    load(trinetx_study(folder), lake, "patient", "diagnosis")
    assert lake.read("diagnosis").get_column("code").to_list() == ["5", "9", "1", "2"]


def test_ids_stay_text(tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site")
    load(trinetx_study(folder), lake, "patient", "diagnosis")
    assert lake.read("diagnosis").get_column("patient_id").unique().sort().to_list() == [
        "001",
        "002",
        "a3",
    ]


def test_unknown_patients_are_kept_when_there_is_no_patient_at_all(
    tmp_path: Path, lake: Lake
) -> None:
    folder = write_extract(tmp_path / "site", patients=())
    _, report = load(trinetx_study(folder), lake, "patient", "diagnosis")
    assert report.rows_kept == len(DIAGNOSES)


def test_bad_demographics_have_their_reasons(tmp_path: Path, lake: Lake) -> None:
    people = {
        ("", "F", "", "", "1950", ""): "missing_patient_id",
        ("p1", "F", "", "", "unclear", ""): "unreadable_date",
        ("p3", "F", "", "", "2999", ""): "future_date",
        ("p4", "F", "", "", "1950", "201513"): "impossible_date",
        ("p5", "F", "", "", "1950", "1940"): "before_birth",
        PATIENTS[0]: "duplicate_row",
        ("001", "M", "White", "", "1951", ""): "conflicting_row",
    }
    folder = write_extract(tmp_path / "site", patients=[*PATIENTS, *people])
    (report,) = load(trinetx_study(folder), lake, "patient", today=TODAY)
    quarantine = lake.read("patient_quarantine").sort("source_row")
    assert quarantine.get_column("reason").to_list() == list(people.values())
    assert report.rows_kept == len(PATIENTS)
    # The first record of a patient stays.
    assert lake.read("patient").row(0, named=True)["year_of_birth"] == 1950


def test_extra_code_systems_of_the_study_are_kept(tmp_path: Path, lake: Lake) -> None:
    rows = [("001", "", "tnx", "9024", "20140102")]
    folder = write_extract(tmp_path / "site", diagnosis=csv_text(EVENT_HEADER, rows))
    study = study_of(
        {"format": "trinetx", "folder": folder}, vocabulary={"extra_code_systems": ["TNX"]}
    )
    load(study, lake, "patient", "diagnosis")
    assert lake.read("diagnosis").item(0, "code_system") == "TNX"


def test_a_laboratory_number_that_is_none_is_kept_as_text(tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site")
    header = (*EVENT_HEADER, "lab_result_num_val", "lab_result_text_val", "units_of_measure")
    event = ("001", "", "LOINC", "8061-4")
    rows = [
        (*event, "20140101", "1.5", "", "mg/dL"),
        (*event, "20140102", ">100", "", ""),
        (*event, "20140103", "x", "positive", ""),
        (*event, "20140104", "inf", "", ""),
    ]
    (folder / "lab_result.csv").write_text(csv_text(header, rows), encoding="utf-8")
    load(trinetx_study(folder), lake, "patient", "lab_result")
    assert lake.read("lab_result").select("value_number", "value_text", "unit").rows() == [
        (1.5, None, "mg/dL"),
        (None, ">100", None),
        (None, "positive", None),
        (None, "inf", None),
    ]


def test_the_number_of_a_result_below_a_limit_is_left_out_and_counted(
    tmp_path: Path, lake: Lake
) -> None:
    header = (*EVENT_HEADER, "lab_result_num_val", "lab_result_text_val", "units_of_measure")
    left_out = (
        ("80", "<1:80"), ("80.0", "< 80"), ("80", "<= 1 : 80"), ("80", "\u2264 1:80"),
        ("40", "<1:80"), ("0.25", "<0,5"), ("80", "Less than 1:80"), ("80", "NEGATIVE (<1:80)"),
        ("<80", "negative"),
    )  # fmt: skip
    kept = (
        ("640", "> 1:640"), ("80", "\u22651:80"), ("80", ">=80"), ("80", ""), ("160", "1:160"),
        ("640", "positive (reference <1:80)"), ("80", "1:80 (reference <1:80)"),
        ("5", "<see note 5>"),
    )  # fmt: skip
    event = ("001", "", "LOINC", "5048-4", "20140101")
    results = [*left_out, *kept, ("<80", ""), ("", "<1:40")]
    rows = [(*event, number, text, "") for number, text in results]
    folder = write_extract(tmp_path / "site")
    (folder / "lab_result.csv").write_text(csv_text(header, rows), encoding="utf-8")
    _, report = load(trinetx_study(folder), lake, "patient", "lab_result")
    assert lake.read("lab_result").select("value_number", "value_text").rows() == [
        *((None, text) for _, text in left_out),
        *((float(number), text or None) for number, text in kept),
        *((None, "<80"), (None, "<1:40")),
    ]
    assert report.counted == {"numbers_that_are_limits": len(left_out) + 1}


def test_terminology_has_one_description_a_code(tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site")
    rows = [
        ("ICD-10-CM", "I10", "Hypertension", ""),
        ("ICD10CM", "I10", "High blood pressure", ""),
        ("ICD-10-CM", "I11", "", ""),
        ("ICD-10-CM", "", "Nothing", ""),
        ("LOCAL", "1", "Local", ""),
    ]
    header = ("code_system", "code", "code_description", "unit")
    (folder / "standardized_terminology.csv").write_text(csv_text(header, rows), encoding="utf-8")
    (report,) = load(trinetx_study(folder), lake, "terminology")
    assert lake.read("terminology").rows() == [("ICD-10-CM", "I10", "Hypertension")]
    assert dict(report.reasons) == {
        "conflicting_row": 1,
        "missing_code": 1,
        "missing_description": 1,
        "unknown_code_system": 1,
    }


def test_an_unreadable_genetic_score_is_quarantined(tmp_path: Path, lake: Lake) -> None:
    folder = write_extract(tmp_path / "site")
    path = tmp_path / "score.csv"
    path.write_text("patient_id,score\n001,0.5\n002,high\na3,\n", encoding="utf-8")
    (report,) = load(trinetx_study(folder, genetic_score=path), lake, "genetic_score")
    assert report.reasons == (("unreadable_value", 2),)


def test_a_patient_has_one_care_site_with_a_name_of_sensible_length(
    tmp_path: Path, lake: Lake
) -> None:
    folder = write_extract(tmp_path / "site")
    path = tmp_path / "sites.csv"
    rows = ["patient_id,site", "001,north", "002, south ", "001,south", ",north", "a3,", "a4,"]
    path.write_text("\n".join([*rows, f"a5,{41 * 'x'}"]) + "\n", encoding="utf-8")
    (report,) = load(trinetx_study(folder, care_site=path), lake, "care_site")
    assert lake.read("care_site").select("patient_id", "care_site").rows() == [
        ("001", "north"),
        ("002", "south"),
    ]
    assert dict(report.reasons) == {
        "conflicting_row": 1,
        "missing_patient_id": 1,
        "unreadable_value": 3,
    }


def test_events_wait_for_patients(tmp_path: Path, lake: Lake) -> None:
    study = trinetx_study(write_extract(tmp_path / "site"))
    with pytest.raises(MissingTableError):
        validate_table(study, lake, "diagnosis")
    ingest_table(study, lake, "diagnosis")
    with pytest.raises(MissingTableError, match="patient"):
        validate_table(study, lake, "diagnosis")


cell = st.sampled_from(["001", "002", "999", "", "e", '"', "x,y"])
row = st.tuples(
    st.sampled_from(["001", "002", "a3", "999", "", " 001 "]),
    st.sampled_from(["", "e1"]),
    st.sampled_from(["ICD-10-CM", "icd9cm", "LOCAL", ""]),
    st.sampled_from(["M32.10", "710.0", ""]),
    st.sampled_from(["20140102", "2014-01-02", "20140230", "20991231", "soon", "", "19300101"]),
).map(",".join)
line = st.one_of(row, row, row, st.lists(cell, max_size=7).map(",".join))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(line, max_size=40))
def test_rows_in_are_kept_or_quarantined(
    lines: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("property")
    lake = Lake(folder / "lake")
    content = "\n".join([",".join(EVENT_HEADER), *lines])
    study = trinetx_study(write_extract(folder / "site", diagnosis=content))
    _, report = load(study, lake, "patient", "diagnosis", today=TODAY)
    rows_in = sum(bool(text) for text in lines)
    quarantine = lake.read("diagnosis_quarantine")
    kept = lake.read("diagnosis")
    assert (report.rows_in, report.rows_kept) == (rows_in, kept.height)
    assert rows_in == kept.height + quarantine.height
    # A row is in one of the two, once.
    places = kept.get_column("source_row").to_list() + quarantine.get_column("source_row").to_list()
    assert sorted(places) == [at for at, text in enumerate(lines, start=2) if text]
    assert check_table(kept, "diagnosis").passed


def test_the_number_of_buckets_leaves_no_trace(tmp_path: Path) -> None:
    stamps = []
    for rows_a_bucket in (1_000_000, 700):
        lake = Lake(tmp_path / str(rows_a_bucket))
        load(golden_study(), lake, "patient", "diagnosis", rows_a_bucket=rows_a_bucket)
        stamps.append((lake.stamp("diagnosis"), lake.stamp("diagnosis_quarantine")))
    assert stamps[0] == stamps[1]


def test_golden_extract_is_clean_and_sorted(lake: Lake) -> None:
    reports = load(golden_study(), lake, *RAW_TABLES)
    assert sum(report.rows_in for report in reports) == 320 + 62_166 + 1_710 + 320
    assert sum(report.rows_quarantined for report in reports) == 0
    for table in (*RAW_TABLES, "cohort_feature"):
        assert check_table(lake.path(table), table).passed
    medication = lake.read("medication")
    assert medication.equals(medication.sort("patient_id", "date", "source_row"))
    source = pl.read_csv(GOLDEN / "medication_drug.csv", infer_schema=False)
    assert medication.sort("source_row").get_column("code").equals(source.get_column("code"))


def test_golden_cohort_table_is_read_as_learn_counts_days(lake: Lake) -> None:
    load(golden_study(), lake, "cohort_table")
    first = lake.read("cohort_table").row(0, named=True)
    assert first["patient_id"] == "0000000000000000"
    assert first["index_date"] == date(2010, 11, 5)
    assert first["first_record_date"] == date(2005, 4, 14)
    assert first["last_record_date"] == date(2013, 9, 28)
    assert first["outcome_date"] == date(2014, 10, 15)
    assert first["age_at_index"] == 27.0
    assert not first["drug_induced_lupus"]


def test_only_counts_of_the_cohort_table_become_features(lake: Lake) -> None:
    load(golden_study(), lake, "cohort_table")
    features = lake.read("cohort_feature")
    assert set(features.get_column("feature")) == {f"cnt_{number:03d}" for number in range(40)}
    assert features.height == 320 * 40


@pytest.mark.parametrize("name", ["n_ra", "ra_confirmed", "death", "has_SLE_new", "lab", "cnt_M32"])
def test_no_column_predicts_that_the_study_does_not_name(name: str) -> None:
    assert not may_be_feature(name, ["crp", "count_*"])
    assert may_be_feature(name, [name.upper()])


@pytest.mark.parametrize(
    "name",
    [
        *("days_till_sle_new", "Days_till_nephritis", "date_nephritis", "age_at_death", "n_sle"),
        *("diagnosis_dile", "case", "Label", "event_observed", "time_to_event_days"),
    ],
)
def test_what_dates_the_outcome_is_no_feature_whatever_the_study_says(name: str) -> None:
    assert not may_be_feature(name, ["*"])


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("days_till_sle_new", "days_till_sle_new or date_sle_new"),
        ("diagnosis_cancer", "diagnosis_cancer"),
        ("date_rd_new", "date_rd_new"),
        ("iDate", "iDate"),
    ],
)
def test_a_supplied_cohort_table_without_a_column_its_rules_read_is_refused(
    tmp_path: Path, lake: Lake, missing: str, says: str
) -> None:
    cells = {
        "patient_id": "p1",
        "iDate": "20100101",
        "age_at_ANAp": "50",
        "days_till_sle_new": "",
        "diagnosis_cancer": "0",
        "date_rd_new": "",
    }
    folder = write_extract(tmp_path / "site")
    path = tmp_path / "cohort.txt"
    source = {"format": "trinetx", "folder": folder, "cohort_table": path}
    # No rule asks for drug-induced lupus, so its column is not missed.
    exclusions = [{"name": "cancer"}, {"name": "other_rheumatic_disease"}]
    study = study_of(source, cohort={"mode": "supplied", "exclusions": exclusions})

    def write_without(column: str) -> None:
        kept = {name: cell for name, cell in cells.items() if name != column}
        path.write_text("\t".join(kept) + "\n" + "\t".join(kept.values()) + "\n", encoding="utf-8")

    write_without("")
    (report,) = load(study, lake, "cohort_table", today=TODAY)
    assert report.rows_kept == 1
    write_without(missing)
    with pytest.raises(ValueError, match=says):
        load(study, lake, "cohort_table", today=TODAY)


def test_cohort_table_rows_and_columns_that_cannot_be_used(tmp_path: Path, lake: Lake) -> None:
    header = "patient_id\tsex\tiDate\tyob\tage_at_ANAp\tdate_sle_new\tdiagnosis_dile\tlab\tnote\n"
    rows = [
        "p1\tF\t2010-01-01\t1950\t59.5\t\t0\t1.5\tfine",
        "p2\tM\t20100101\t1950\t60\t2012-05-06\t1\t\t",
        "p3\tM\t\t1950\t60\t\t0\t3\t",
        "p4\tM\t2010-01-01\t1950\told\t\t0\t3\t",
        "p5\tM\t2010-01-01\t1950\t60\t2012-02-30\t0\t3\t",
        "p6\tM\t2010-01-01\t1950\t60\t\tmaybe\t3\t",
        "p1\tF\t2011-01-01\t1950\t60\t\t0\tnot a number\t",
    ]
    path = tmp_path / "cohort.txt"
    path.write_text(header + "\n".join(rows), encoding="utf-8")
    folder = write_extract(tmp_path / "site")
    study = trinetx_study(folder, cohort_table=path, cohort_features=["lab", "note"])
    (report,) = load(study, lake, "cohort_table", today=TODAY)
    assert dict(report.reasons) == {
        "conflicting_row": 1,
        "impossible_date": 1,
        "missing_date": 1,
        "unreadable_value": 2,
    }
    assert lake.read("cohort_table").get_column("outcome_date").to_list() == [
        None,
        date(2012, 5, 6),
    ]
    # An empty cell has no row, and a column of words is no feature.
    assert lake.read("cohort_feature").rows() == [("p1", "lab", 1.5)]


@pytest.mark.parametrize("column", ["days_first_event", "days_last_event", "days_till_sle_new"])
def test_a_count_of_days_that_leads_out_of_time_is_refused(
    tmp_path: Path, lake: Lake, column: str
) -> None:
    path = tmp_path / "cohort.txt"
    offsets = ["-30", "5844", "5845", "1e9", "1e30", "-1e9", "-1e30", "soon"]
    rows = [f"p{number}\t2010-01-01\t{days}" for number, days in enumerate(offsets)]
    path.write_text(f"patient_id\tiDate\t{column}\n" + "\n".join(rows), encoding="utf-8")
    folder = write_extract(tmp_path / "site")
    study = trinetx_study(folder, cohort_table=path, cohort_features=["lab", "note"])
    (report,) = load(study, lake, "cohort_table", today=TODAY)
    # 5844 days after that index date are today.
    assert lake.read("cohort_table")["patient_id"].to_list() == ["p0", "p1"]
    assert sum(count for _, count in report.reasons) == 6


@pytest.mark.slow
def test_rows_planted_in_a_synthetic_site_are_found_to_the_last_one(lake: Lake) -> None:
    study = study_of({"format": "synthetic", "patients": 120, "seed": 3, "dirty_share": 0.02})
    reports = {report.table: report for report in load(study, lake, *RAW_TABLES)}
    site = lake.folder("source") / "site" / "truth" / "site.json"
    planted = json.loads(site.read_text(encoding="utf-8"))["dirty_rows"]
    tables = {
        "medication_drug.csv": "medication",
        "standardized_terminology.csv": "terminology",
    }
    for name, reasons in planted.items():
        table = tables.get(name, name.removesuffix(".csv"))
        assert dict(reports[table].reasons) == reasons, name
