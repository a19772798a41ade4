"""SPSS files: a .sav gives the tables that the CSV of it gives."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError
from learn_assets.study.subtypes import DischargeFiles, PruningRules
from learn_assets.subtypes.discharges import read_discharges
from learn_assets.subtypes.spss import read_sav

pyreadstat = pytest.importorskip("pyreadstat")

ROWS = pl.DataFrame(
    {
        "Sexo": [1.0, 2.0, 9.0],
        "Año": [2018.0, 2019.0, 2018.0],
        "FechadeIngreso": ["01022018 0930", "31122019 2359", "01022018 0930"],
        "Fechadenacimiento": [1022003.0, 31122004.0, 1022003.0],
        "EstanciaDías": [4.0, None, 1.0],
        "DX1": ["F12.10", "F10.129", "F12.10"],
        "DX2": ["ZZZ.ZZZS", "F11.20", "ZZZ.ZZZS"],
        "CosteAPR": [1234.5, None, 10.0],
        "Unneeded": ["a", "b", "c"],
    }
)


def _tables(source: Path, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    lake = Lake(folder)
    read_discharges(DischargeFiles(format="rae_cmbd", files=(source,)), PruningRules(), lake)
    return lake.read("discharges"), lake.read("discarded_discharges").drop("source_file")


def _sav(folder: Path) -> Path:
    path = folder / "download.sav"
    columns = {name: ROWS[name].to_list() for name in ROWS.columns}
    pyreadstat.write_sav(pd.DataFrame(columns), path)
    return path


def test_sav_and_csv_give_the_same_tables(tmp_path: Path) -> None:
    sav = _sav(tmp_path)
    csv = tmp_path / "download.csv"
    whole = [name for name in ROWS.columns if ROWS[name].dtype == pl.Float64 and name != "CosteAPR"]
    ROWS.with_columns(pl.col(whole).cast(pl.Int64)).write_csv(csv)
    kept, discarded = _tables(sav, tmp_path / "from_sav")
    same_kept, same_discarded = _tables(csv, tmp_path / "from_csv")
    assert kept.equals(same_kept)
    assert kept["age_years"].to_list() == [15, 15]
    assert kept["diagnoses"].to_list() == [["F1210"], ["F10129", "F1120"]]
    # Line 1 of a CSV is its header; records of a .sav count from 1.
    assert discarded["source_row"].to_list() == [3]
    assert same_discarded["source_row"].to_list() == [4]


def test_chunks_leave_no_trace_and_only_needed_columns_are_read(tmp_path: Path) -> None:
    sav = _sav(tmp_path)
    whole = pl.concat(read_sav(sav))
    assert whole.equals(pl.concat(read_sav(sav, chunk_rows=2)))
    assert whole["source_row"].to_list() == [1, 2, 3]
    assert "Unneeded" not in whole.columns


def test_what_is_no_sav_or_lacks_a_column_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sav"
    broken.write_bytes(b"no SPSS file")
    with pytest.raises(SourceError, match=r"broken\.sav"):
        list(read_sav(broken))
    lacking = tmp_path / "lacking.sav"
    pyreadstat.write_sav(pd.DataFrame({"Sexo": [1.0]}), lacking)
    with pytest.raises(SourceError, match=r"lacking\.sav: no column for admission_date"):
        list(read_sav(lacking))
