"""Table 1: right numbers where they may be shown, and nothing to subtract where they may not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from learn_assets.reporting.document import Report, Table
from learn_assets.reporting.page import render_page
from learn_assets.reporting.table_one import labeled_patients, table_one
from learn_assets_tests.reporting.made_up import RARE_RACE

MINIMUM = 11


def cohort(cases: int, controls: int) -> pl.DataFrame:
    rows = cases + controls
    return pl.DataFrame(
        {
            "patient_id": [f"P{number:04}" for number in range(rows)],
            "label": pl.Series([1] * cases + [0] * controls, dtype=pl.Int8),
            "index_date": [None] * rows,
            "age_at_index": np.linspace(20, 79, rows),
            "sex": ["F"] * (rows // 2) + ["M"] * (rows - rows // 2),
            "time_to_event_days": np.full(rows, 1000),
        },
        schema_overrides={"index_date": pl.Date},
    )


def described(frame: pl.DataFrame, race: list[str | None]) -> Table | None:
    patient = frame.select("patient_id").with_columns(
        race=pl.Series(race, dtype=pl.String), ethnicity=pl.lit(None, dtype=pl.String)
    )
    patients = labeled_patients(
        frame,
        patient=patient,
        index_events=None,
        record_totals=None,
        charlson=None,
        age_bands=(40, 60),
    )
    return table_one(patients, MINIMUM)


def rows_of(table: Table | None, variable: str) -> dict[str, list[str]]:
    assert table is not None
    named = (row for row in table.rows if row[0].text == variable)
    return {row[1].text: [value.text for value in row[2:]] for row in named}


def test_levels_are_counted_by_outcome() -> None:
    race = ["A"] * 20 + ["B"] * 20 + ["A"] * 60 + ["B"] * 100
    found = rows_of(described(cohort(40, 160), race), "Race")
    assert found["A"][:3] == ["80 (40.0 %)", "20 (50.0 %)", "60 (37.5 %)"]
    assert found["B"][:3] == ["120 (60.0 %)", "20 (50.0 %)", "100 (62.5 %)"]
    gap = (0.5 - 0.375) / np.sqrt((0.25 + 0.375 * 0.625) / 2)
    assert [row[3] for row in found.values()] == [f"{gap:.2f}", ""]


def test_a_small_cell_hides_its_row_and_what_would_give_it_away() -> None:
    # Five cases of C: cases of A and B would give them by subtraction, so B goes too.
    race = ["A"] * 20 + ["B"] * 15 + ["C"] * 5 + ["A"] * 60 + ["B"] * 50 + ["C"] * 50
    found = rows_of(described(cohort(40, 160), race), "Race")
    assert found["C"] == ["withheld", "<11", "withheld", ""]
    assert found["A"][1] == "20 (50.0 %)"
    assert found["B"][:3] == ["withheld"] * 3
    # With one cell of each hidden row the difference would give the other.
    assert {row[3] for row in found.values()} == {"", "-"}


@pytest.mark.parametrize("seed", range(20))
def test_hidden_cells_of_any_table_hold_no_small_sum(seed: int) -> None:
    random = np.random.default_rng(seed)
    cases, controls = random.integers(11, 60), random.integers(60, 300)
    levels = np.array(["A", "B", "C", "D"])
    race = random.choice(levels, cases + controls, p=random.dirichlet(np.ones(4) * 0.7)).tolist()
    table = described(cohort(int(cases), int(controls)), race)
    assert table is not None
    named = [row for row in table.rows if row[0].text == "Race"]
    for column, total in ((3, cases), (4, controls)):
        shown = [int(row[column].number) for row in named if row[column].number is not None]
        hidden = int(total) - sum(shown)
        assert hidden == 0 or hidden >= MINIMUM
        assert all(value == 0 or value >= MINIMUM for value in shown)


def test_few_cases_have_no_table() -> None:
    assert described(cohort(10, 100), ["A"] * 110) is None


def test_continuous_variables_are_summarized_by_outcome() -> None:
    frame = cohort(40, 160)
    found = rows_of(described(frame, ["A"] * 200), "Age at index, years")
    ages = frame["age_at_index"].to_numpy()
    everyone = f"{ages.mean():.1f} ({ages.std(ddof=1):.1f})"
    assert found["mean (SD)"][0] == everyone


def test_an_unknown_age_is_a_row_of_its_own() -> None:
    frame = cohort(40, 160).with_columns(
        age_at_index=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("age_at_index"))
    )
    found = rows_of(described(frame, ["A"] * 200), "Age at index, years")
    assert found["missing"][:3] == ["100 (50.0 %)", "20 (50.0 %)", "80 (50.0 %)"]


def test_the_planted_small_cell_is_masked_in_the_report(report_document: Report) -> None:
    page = render_page(report_document)
    row = page[page.index(RARE_RACE) :]
    cells = row[: row.index("</tr>")]
    assert "&lt;11" in cells
    assert "5 (" not in cells
    assert ">40 (" not in cells


def with_tests(frame: pl.DataFrame, measured: dict[str, int]) -> Table | None:
    """Return table 1 when the first so many patients have a value of each test, 1, 2, 3 ..."""
    rows = [
        {"patient_id": f"P{number:04}", "feature": feature, "value": float(number % 100)}
        for feature, patients in measured.items()
        for number in range(patients)
    ]
    patients = labeled_patients(
        frame,
        patient=None,
        index_events=None,
        record_totals=None,
        charlson=None,
        age_bands=(40, 60),
        measurements=pl.DataFrame(rows),
        test_names={"lab|LOINC|2160-0|mg/dl": "Creatinine in serum"},
    )
    return table_one(patients, MINIMUM)


def test_laboratory_values_are_told_with_who_has_none() -> None:
    # 40 cases come first, so 120 patients are 40 cases and 80 controls of 160.
    table = with_tests(cohort(40, 160), {"lab|LOINC|2160-0|mg/dl": 120})
    found = rows_of(table, "Creatinine in serum, mg/dl")
    values = np.arange(120) % 100
    low, middle, high = np.quantile(values[:40], [0.25, 0.5, 0.75])
    assert found["median (quartiles)"][1] == f"{middle:.1f} ({low:.1f} to {high:.1f})"
    assert found["missing"][:3] == ["80 (40.0 %)", "0 (0.0 %)", "80 (50.0 %)"]


def test_few_patients_without_a_value_are_not_counted() -> None:
    table = with_tests(cohort(40, 160), {"lab|LOINC|2160-0|mg/dl": 195})
    missing = rows_of(table, "Creatinine in serum, mg/dl")["missing"]
    assert missing[:3] == ["<11", "withheld", "<11"]


def test_only_the_most_frequent_tests_are_listed_and_those_of_few_patients_are_not() -> None:
    many = {f"lab|LOINC|{number:02}|u": 100 + number for number in range(20)}
    table = with_tests(cohort(40, 160), many)
    assert table is not None
    listed = {row[0].text for row in table.rows if row[0].text.startswith("LOINC")}
    assert listed == {f"LOINC {number:02}, u" for number in range(8, 20)}
    rare = with_tests(cohort(40, 160), {"lab|LOINC|2160-0|mg/dl": 10})
    assert rows_of(rare, "Creatinine in serum, mg/dl") == {}
