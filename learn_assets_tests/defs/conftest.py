"""Fixtures: the small study, materialized once a session, its definitions, and a copy to spoil."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from learn_assets_tests.defs.made import MadeStudy, tiny_study


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeStudy:
    """The small study after one run of everything; read only."""
    fresh = MadeStudy(tiny_study(), tmp_path_factory.mktemp("made"))
    outcomes = fresh.materialize()
    return replace(fresh, outcomes=tuple(outcomes.values()))


@pytest.fixture(scope="session")
def definitions(made: MadeStudy) -> dg.Definitions:
    """Definitions of the small study; LEARN_HOME says which lake they work on."""
    return made.definitions()


@pytest.fixture
def copied(made: MadeStudy, tmp_path: Path) -> MadeStudy:
    """A copy of the finished lake with an instance that has no runs yet."""
    return made.copy(tmp_path / "copied")
