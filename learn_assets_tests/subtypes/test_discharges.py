"""Registry files into discharges: layouts, cells, discarded rows, and nothing lost or leaked."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError
from learn_assets.study.subtypes import DischargeFiles, PruningRules, SyntheticDischarges
from learn_assets.subtypes.discharges import DischargeReport, read_discharges
from learn_assets.subtypes.readings import code_of, day_of, number_of
from learn_assets.synthetic.discharges import (
    DIRTY_REASONS,
    DischargeStyle,
    discharge_truth,
    write_discharge_file,
)
from learn_assets.validation.contracts import check_table

HEADER = "Sexo;Fecha de Ingreso;Fecha de nacimiento;Diagnóstico Principal;Diagnóstico 2;Coste APR"
SMALL = SyntheticDischarges(format="synthetic", admissions=300, dirty_share=0.05)


def _read(lake: Lake, *files: Path, **rules: Any) -> DischargeReport:
    source = DischargeFiles(format="rae_cmbd", files=files)
    return read_discharges(source, PruningRules.model_validate(rules), lake)


def _file(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "download.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def _only(expression: pl.Expr, cells: list[str]) -> list[Any]:
    return pl.DataFrame({"cell": cells}).select(expression).to_series().to_list()


def test_days_are_read_however_the_registry_wrote_them() -> None:
    same = ["01022018 0930", "1022018 930", "1022018", "1/2/2018 09:30", "2018-02-01", " 01022018 "]
    assert _only(day_of("cell"), same) == [datetime.date(2018, 2, 1)] * len(same)
    none = ["31022018", "20121130", "", "unknown", "0102201", "32012018 0930"]
    assert _only(day_of("cell"), none) == [None] * len(none)


def test_numbers_have_a_decimal_comma_or_a_point() -> None:
    cells = ["1234,56", "1.234,56", "1234.56", "7", "-2,5", "", "1,2,3", "x"]
    expected = [1234.56, 1234.56, 1234.56, 7.0, -2.5, None, None, None]
    assert _only(number_of("cell"), cells) == expected


def test_codes_lose_dot_case_and_placeholders() -> None:
    cells = ["F12.10", " f12.10 ", "F1210", "ZZZ.ZZZS", "zzzzzzs", "", "F 12.10"]
    expected = ["F1210", "F1210", "F1210", None, None, None, "F1210"]
    assert _only(code_of("cell", ("ZZZ.ZZZS",)), cells) == expected


def test_age_is_completed_years_on_the_day_of_admission(tmp_path: Path, lake: Lake) -> None:
    born = ["01022003", "2022003", "31012003", "5052020", ""]
    rows = [f"1;01022018 0930;{day};F12.10;ZZZ.ZZZS;" for day in born]
    report = _read(lake, _file(tmp_path, *rows))
    assert lake.read("discharges")["age_years"].to_list() == [15, 14, 15, None, None]
    assert report.unreadable["birth_date"] == 1


def test_the_first_rule_that_fails_is_the_reason(tmp_path: Path, lake: Lake) -> None:
    rows = [
        "1;15032020 2359;;F12.10;F10.10;1,5",
        "1;16032020 0000;;F12.10;;",
        "9;16032020 0000;;G40.1;;",
        "9;01022018 0930;;G40.1;;",
        "2;01022018 0930;;ZZZ.ZZZS;F12.10;",
        "2;01022018 0930;;G40.1;F12.10;",
        "2;soon;;F12.10;;",
        "2;01022018 0930;;F12.10",
    ]
    _read(lake, _file(tmp_path, *rows))
    assert lake.read("discharges")["diagnoses"].to_list() == [["F1210", "F1010"]]
    discarded = lake.read("discarded_discharges")
    assert dict(discarded.select("source_row", "reason").iter_rows()) == {
        3: "admitted_after_the_study",
        4: "admitted_after_the_study",
        5: "sex_not_1_or_2",
        6: "no_principal_diagnosis",
        7: "principal_diagnosis_not_of_the_study",
        8: "unreadable_admission_date",
        9: "wrong_column_count",
    }


def test_rules_can_be_widened_and_ages_asked(tmp_path: Path, lake: Lake) -> None:
    rows = [
        "1;16032020 0000;01012005;G40.1;;",
        "1;16032020 0000;01012000;G40.1;;",
        "1;16032020 0000;;G40.1;;",
    ]
    report = _read(lake, _file(tmp_path, *rows), preset="none", minimum_age=12, maximum_age=17)
    assert (report.kept, report.discarded) == (1, {"age_not_of_the_study": 2})


@pytest.mark.parametrize(
    "style",
    [
        DischargeStyle(),
        DischargeStyle("english", ",", byte_order_mark=False),
        DischargeStyle("spanish", ",", byte_order_mark=True),
    ],
)
def test_every_style_of_the_registry_gives_the_same_tables(
    tmp_path: Path, lake: Lake, style: DischargeStyle
) -> None:
    path = tmp_path / "download.csv"
    write_discharge_file(path, SMALL, style)
    report = _read(lake, path)
    truth = discharge_truth(SMALL)
    planted = truth.filter(pl.col("reason").is_not_null())
    assert set(planted["reason"]) == set(DIRTY_REASONS)
    assert report.rows_read == truth.height == report.kept + sum(report.discarded.values())
    discarded = lake.read("discarded_discharges").select("source_row", "reason")
    assert discarded.equals(planted.select("source_row", "reason"))
    kept = lake.read("discharges")
    clean = truth.filter(pl.col("reason").is_null())
    assert kept["admission_id"].to_list() == clean["admission_id"].to_list()
    assert kept["sex"].to_list() == clean["sex"].to_list()
    lengths = kept["diagnoses"].list.len().to_list()
    assert lengths == clean["number_of_diagnoses"].to_list()
    assert all(check_table(lake.path(t), t).passed for t in ("discharges", "discarded_discharges"))


def test_admissions_are_linked_without_the_registrys_own_number(tmp_path: Path, lake: Lake) -> None:
    path = tmp_path / "download.csv"
    write_discharge_file(path, SMALL)
    _read(lake, path)
    numbers = lake.read("discharges")["patient_number"]
    assert 1 < numbers.n_unique() < numbers.len()
    assert numbers.cast(pl.Int64).max() == numbers.n_unique()


def test_a_second_file_goes_on_counting(tmp_path: Path, lake: Lake) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    row = "1;01022018 0930;;F12.10;;"
    report = _read(lake, _file(tmp_path / "first", row), _file(tmp_path / "second", row, row))
    assert report.kept == 3
    assert lake.read("discharges")["admission_id"].to_list() == ["1", "2", "3"]


def test_a_header_without_a_needed_column_is_named(tmp_path: Path, lake: Lake) -> None:
    path = _file(tmp_path, "1;F12.10", header="Sexo;Diagnóstico Principal")
    with pytest.raises(SourceError, match=r"download\.csv, line 1.*admission_date"):
        _read(lake, path)


def test_line_ends_of_cr_alone_are_named(tmp_path: Path, lake: Lake) -> None:
    path = _file(tmp_path, *["1;01022018;01011950;F12.10;;"] * 3)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r"))
    with pytest.raises(SourceError, match=r"download\.csv, line 1: .* CR "):
        _read(lake, path)


def test_dates_that_nobody_can_read_stop_before_the_lake(tmp_path: Path, lake: Lake) -> None:
    path = _file(tmp_path, "1;Feb 1 2018;;F12.10;;", "2;Feb 2 2018;;F12.10;;")
    with pytest.raises(SourceError, match=r"download\.csv, from line 2.*DDMMYYYY") as raised:
        _read(lake, path)
    assert "Feb" not in str(raised.value)
    assert lake.stamp("discharges") is None


def test_no_birth_date_reaches_the_lake(tmp_path: Path, lake: Lake) -> None:
    _read(lake, _file(tmp_path, "1;01022018 0930;17042003;F12.10;;", "1;x;17042003;F12.10;;"))
    for table in ("discharges", "discarded_discharges"):
        assert "17042003" not in lake.read(table).write_json()
        assert datetime.date(2003, 4, 17) not in lake.read(table).to_series().to_list()
