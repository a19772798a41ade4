"""Fixtures: a lake of a site without a fault, made once, and a copy that a test may change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from learn_assets.lake import Lake
from learn_assets_tests.quality.made import MadeSite, made_site


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> MadeSite:
    """The site without a fault; read only."""
    return made_site(Lake(tmp_path_factory.mktemp("clean") / "lake"))


@pytest.fixture
def site(clean: MadeSite, tmp_path: Path) -> MadeSite:
    """A copy of it."""
    shutil.copytree(clean.lake.root, tmp_path / "site")
    return MadeSite(Lake(tmp_path / "site"))
