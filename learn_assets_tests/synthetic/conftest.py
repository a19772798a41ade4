"""Fixtures: one synthetic site shared by the tests of its files and of its truth."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from learn_assets.study import SyntheticSource
from learn_assets.synthetic import SiteSummary, write_site


@dataclass(frozen=True)
class MadeSite:
    """A site on disk, what it reported and how long it took."""

    folder: Path
    summary: SiteSummary
    seconds: float

    def truth(self) -> pl.DataFrame:
        """Return the planted truth, one row a patient."""
        return pl.read_csv(
            self.folder / "truth" / "patients.csv",
            schema_overrides={"patient_id": pl.String},
            try_parse_dates=True,
        )

    def lines(self, name: str) -> list[bytes]:
        """Return the lines of a file below its header."""
        return (self.folder / name).read_bytes().splitlines()[1:]


def settings(**changed: object) -> SyntheticSource:
    """Return settings of a small site with some of them changed."""
    base: dict[str, object] = {"format": "synthetic", "patients": 120, "seed": 5}
    return SyntheticSource.model_validate({**base, **changed})


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> MadeSite:
    folder = tmp_path_factory.mktemp("synthetic") / "site"
    started = time.perf_counter()
    summary = write_site(folder, settings(patients=1500, seed=20261122))
    return MadeSite(folder, summary, time.perf_counter() - started)


@pytest.fixture(scope="session")
def clean_site(tmp_path_factory: pytest.TempPathFactory) -> MadeSite:
    folder = tmp_path_factory.mktemp("synthetic") / "clean"
    summary = write_site(folder, settings(patients=400, dirty_share=0.0))
    return MadeSite(folder, summary, 0.0)


def read_events(site: MadeSite, name: str, date_column: str = "date") -> pl.DataFrame:
    """Return a file of a clean site with its dates read; every row must parse."""
    return pl.read_csv(site.folder / name, infer_schema=False).with_columns(
        pl.col(date_column).str.to_date("%Y%m%d").alias("day")
    )
