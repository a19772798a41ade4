"""Discharge files as registries send them: labels for numbers, words for sex, a file cut short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError
from learn_assets.study.subtypes import DischargeFiles, PruningRules
from learn_assets.subtypes.discharges import DischargeReport, read_discharges

pyreadstat = pytest.importorskip("pyreadstat")
ADMISSIONS = 240


def discharges() -> pd.DataFrame:
    """Return a made-up download of the registry, men and women in turn."""
    mains = ("F12.10", "F10.129", "F14.10", "F11.20")
    rows: list[dict[str, Any]] = [
        {
            "CIPSNSRecodificado": f"X{number // 2:05d}",
            "Sexo": 1.0 + number % 2,
            "Año": 2018.0,
            "FechadeIngreso": f"{1 + number % 28:02d}{1 + number % 12:02d}2018 0930",
            "Fechadenacimiento": f"{1 + number % 28:02d}{1 + number % 12:02d}2002",
            "EstanciaDías": float(1 + number % 9),
            "CosteAPR": 1000.5 + number,
            "DX1": mains[number % 4],
            "DX2": "F17.210" if number % 3 else "ZZZ.ZZZS",
        }
        for number in range(ADMISSIONS)
    ]
    return pd.DataFrame(rows)


def read(file: Path, lake: Lake) -> DischargeReport:
    return read_discharges(DischargeFiles(format="rae_cmbd", files=(file,)), PruningRules(), lake)


def sexes(lake: Lake) -> dict[str, int]:
    return dict(lake.read("discharges")["sex"].value_counts().iter_rows())


def in_words(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(Sexo=frame["Sexo"].map({1.0: "Varón", 2.0: "Mujer"}))


def test_labels_and_missing_ranges_change_no_value(tmp_path: Path, lake: Lake) -> None:
    frame = discharges()
    frame.loc[5, "Sexo"] = 9.0
    frame.loc[7, "EstanciaDías"] = -1.0
    pyreadstat.write_sav(
        frame,
        tmp_path / "labels.sav",
        variable_value_labels={"Sexo": {1.0: "Varón", 2.0: "Mujer", 9.0: "No consta"}},
        missing_ranges={"Sexo": [9], "EstanciaDías": [{"lo": -9, "hi": -1}]},
        column_labels={"DX1": "Diagnóstico principal"},
        variable_format={"FechadeIngreso": "A255"},
    )
    report = read(tmp_path / "labels.sav", lake)
    assert (report.rows_read, report.kept) == (ADMISSIONS, ADMISSIONS - 1)
    assert report.discarded == {"sex_not_1_or_2": 1}
    assert lake.read("discharges")["stay_days"].null_count() == 1


def test_sex_in_words_is_read(tmp_path: Path, lake: Lake) -> None:
    pyreadstat.write_sav(in_words(discharges()), tmp_path / "text.sav")
    assert read(tmp_path / "text.sav", lake).kept == ADMISSIONS
    assert sexes(lake) == {"F": 120, "M": 120}


def test_codes_with_a_decimal_comma_are_read(tmp_path: Path, lake: Lake) -> None:
    text = discharges().to_csv(index=False, sep=";", decimal=",")
    (tmp_path / "legacy.csv").write_bytes(text.encode("cp1252"))
    assert read(tmp_path / "legacy.csv", lake).kept == ADMISSIONS
    assert sexes(lake) == {"F": 120, "M": 120}
    assert lake.read("discharges")["cost"].max() == 1000.5 + ADMISSIONS - 1


def test_a_file_that_ends_too_early_is_named(tmp_path: Path, lake: Lake) -> None:
    pyreadstat.write_sav(discharges(), tmp_path / "whole.sav", compress=False)
    whole = (tmp_path / "whole.sav").read_bytes()
    (tmp_path / "cut.sav").write_bytes(whole[: len(whole) * 4 // 5])
    with pytest.raises(SourceError, match=r"^cut\.sav is damaged or cut short"):
        read(tmp_path / "cut.sav", lake)
    assert lake.stamp("discharges") is None


@pytest.mark.parametrize("form", ["sav", "csv"])
def test_numbers_of_patients_that_have_lost_digits_are_refused(
    tmp_path: Path, lake: Lake, form: str
) -> None:
    frame = discharges()
    frame["CIPSNSRecodificado"] = [12_345_678_901_234_000.0 + n // 2 for n in range(ADMISSIONS)]
    path = tmp_path / f"floats.{form}"
    pyreadstat.write_sav(frame, path) if form == "sav" else frame.to_csv(path, index=False)
    with pytest.raises(SourceError, match="patients would be merged"):
        read(path, lake)
