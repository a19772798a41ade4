"""Tables and figures of the discharges: small counts stay hidden, and bytes do not change."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import polars as pl
from docx import Document

from learn_assets.subtypes.figures import discharge_figures
from learn_assets.subtypes.publication import PublicationTable, as_csv, as_word
from learn_assets.subtypes.sex_comparison import sex_comparison, sex_description
from learn_assets.subtypes.substances import substance_table
from learn_assets.subtypes.tables import discarded_table, sex_table, substances_table
from learn_assets_tests.subtypes.test_substances import _two_sexes

MINIMUM = 11
PLAIN = PublicationTable(
    name="plain",
    title="A table",
    header=("What", "Female", "Male"),
    rows=(("Year", "", ""), ("  2016", "12 (1.0 %)", "<11")),
    notes=("A note.",),
)


def _cells(table: PublicationTable, label: str) -> tuple[str, ...]:
    return next(row[1:] for row in table.rows if row[0].strip().startswith(label))


def _with_opioids(female: int, male: int) -> PublicationTable:
    codes = [["F1110"]] * female + [["F1010"]] * (200 - female)
    codes += [["F1110"]] * male + [["F1010"]] * (300 - male)
    frame = pl.DataFrame(
        {
            "sex": ["F"] * 200 + ["M"] * 300,
            "patient_number": pl.Series([None] * 500, dtype=pl.String),
            "diagnoses": codes,
        }
    )
    return substances_table(substance_table(frame), MINIMUM)


def test_a_small_count_takes_everything_with_it_that_would_give_it_away() -> None:
    both, female, male, *rest = _cells(_with_opioids(3, 40), "Opioids")
    assert (both, female, male) == ("43", "<11", "withheld")
    assert set(rest) == {"-"}
    # A few without the group are as few people as a few with it.
    assert _cells(_with_opioids(195, 40), "Opioids")[1:3] == ("withheld", "withheld")


def test_large_counts_are_shown_with_their_interval() -> None:
    both, female, male, difference, p, *_ = _cells(_with_opioids(20, 60), "Opioids")
    assert both.startswith("80 (16.0 % [")
    assert (female, male) == ("20 (10.0 %)", "60 (20.0 %)")
    assert difference.startswith("+10.0 [")
    assert p == "0.004"


def test_no_small_count_of_a_class_can_be_worked_out() -> None:
    frame = _two_sexes(6)
    rare = pl.int_range(pl.len()).over("sex") < 4
    frame = frame.with_columns(year=pl.when(rare).then(2015).otherwise(pl.col("year")))
    table = sex_table(frame, sex_description(frame), sex_comparison(frame), {}, MINIMUM)
    years = [_cells(table, str(year))[:2] for year in range(2015, 2021)]
    for column in zip(*years, strict=True):
        hidden = [cell for cell in column if cell in {f"<{MINIMUM}", "withheld"}]
        assert column[0] == f"<{MINIMUM}"
        assert len(hidden) >= 2


def test_rows_of_the_files_are_masked_too() -> None:
    reasons = ["sex_not_1_or_2"] * 3 + ["bad_encoding"] * 20
    table = discarded_table(500, pl.DataFrame({"reason": reasons}), MINIMUM)
    assert _cells(table, "Sex not") == ("<11",)
    assert _cells(table, "Bad encoding") == ("withheld",)


def test_a_word_table_holds_every_cell_and_the_same_bytes() -> None:
    written = as_word(PLAIN)
    assert written == as_word(PLAIN)
    assert written != as_word(replace(PLAIN, title="Another"))
    (grid,) = Document(io.BytesIO(written)).tables
    cells = [tuple(cell.text for cell in row.cells) for row in grid.rows]
    # A heading spans its row, so each of its cells is the same one.
    spanned = [row if any(row[1:]) else (row[0],) * len(row) for row in PLAIN.rows]
    assert cells == [PLAIN.header, *spanned]
    assert all(len(cell.paragraphs) == 1 for row in grid.rows for cell in row.cells)
    written_rows = list(csv.reader(io.StringIO(as_csv(PLAIN).decode())))
    assert written_rows == [list(row) for row in (PLAIN.header, *PLAIN.rows)]


def test_figures_are_drawn_without_small_bars() -> None:
    frame = _two_sexes(7)
    drawn = discharge_figures(frame, {"F603": "Borderline personality disorder"}, MINIMUM)
    assert list(drawn) == [
        "admissions_by_year", "principal_diagnoses", "stay_histogram", "severity",
    ]  # fmt: skip
    assert "masked" not in drawn["admissions_by_year"].alternative
    assert "Borderline personality" in drawn["principal_diagnoses"].alternative
    assert "masked" in drawn["stay_histogram"].alternative
    again = discharge_figures(frame, {"F603": "Borderline personality disorder"}, MINIMUM)
    assert [figure.svg for figure in drawn.values()] == [figure.svg for figure in again.values()]


def test_a_description_with_dollar_signs_is_no_formula() -> None:
    drawn = discharge_figures(_two_sexes(7), {"F603": r"$\frac{$ a$b$"}, MINIMUM)
    svg = drawn["principal_diagnoses"].svg
    assert svg.count(r"$\frac{$ a$b$") == 2


def test_box_plots_need_people_beyond_their_whiskers() -> None:
    frame = pl.concat([_two_sexes(seed) for seed in (8, 9)])
    assert "stay_box_plot" in discharge_figures(frame, {}, MINIMUM)
    assert "stay_box_plot" not in discharge_figures(frame.head(250), {}, MINIMUM)
    assert discharge_figures(frame.clear(), {}, MINIMUM) == {}
