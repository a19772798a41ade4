"""Every analysis has a worked example that holds, and is declared, made and shown once."""

from __future__ import annotations

import doctest
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from learn_assets.discovery import PACKAGE, load, modules, parts
from learn_assets.lake import Lake
from learn_assets.reporting.places import CellSection, SensitivityBlocks, StudySection, placed
from learn_assets.reporting.report import build_report
from learn_assets.schemas.registry import ARRIVING, ASSETS, in_report
from learn_assets.study import Study

FOLDERS = sorted(
    path for path in (PACKAGE / "analyses").iterdir() if (path / "__init__.py").exists()
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_worked_example_of_its_readme_holds(folder: Path) -> None:
    readme = folder / "README.md"
    assert readme.exists(), f"{folder.name} has no README with a worked example"
    ran = doctest.testfile(str(readme), module_relative=False)
    assert ran.attempted > 0, f"{readme} has no worked example"
    assert ran.failed == 0


@pytest.mark.parametrize("part", ["contract", "asset"])
def test_every_analysis_declares_and_makes_something(part: str) -> None:
    assert {name.split(".")[1] for name in modules(parts(part))} == {path.name for path in FOLDERS}


def test_no_table_is_declared_twice() -> None:
    declared = Counter(table for contract in load(parts("contract")) for table in contract.TABLES)
    assert {table for table, times in declared.items() if times > 1} == set()
    assert set(declared) <= set(ASSETS) - set(ARRIVING)


def test_no_two_sections_of_a_chapter_stand_at_the_same_place() -> None:
    for kind in (StudySection, CellSection, SensitivityBlocks):
        found = [place.at for place in placed(kind)]
        assert found == sorted(set(found))
        assert found


def test_the_report_waits_for_every_table_that_a_section_reads(
    report_study: Study, report_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[str] = set()
    scan = Lake.scan

    def noted_scan(lake: Lake, table: str, *place: Any) -> pl.LazyFrame:
        read.add(table)
        return scan(lake, table, *place)

    monkeypatch.setattr(Lake, "scan", noted_scan)
    build_report(report_study, report_lake)
    assert len(read) > 20
    assert read - set(in_report()) == set()
