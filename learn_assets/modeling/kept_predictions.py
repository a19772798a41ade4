"""Kept predictions: what a long analysis has finished, so that a killed run goes on from there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from learn_assets.digests import digest_of
from learn_assets.lake import Lake


@dataclass(frozen=True)
class KeptPredictions:
    """Predictions by seed in a private folder of the lake.

    inputs: what they are made from; predictions made from anything else are never found.
    """

    lake: Lake
    folder: Path
    inputs: str

    def find(self, seed: int) -> pl.DataFrame | None:
        """Return what was kept for a seed, None when nothing was."""
        path = self._path(seed)
        return pl.read_parquet(path, glob=False) if path.exists() else None

    def keep(self, seed: int, predictions: pl.DataFrame) -> None:
        """Keep the predictions of a seed: whole or not at all."""
        with self.lake.staging() as staging:
            staged = staging / "predictions.parquet"
            predictions.write_parquet(staged)
            staged.chmod(0o600)
            staged.replace(self._path(seed))

    def clear(self) -> None:
        """Remove everything kept here, of other inputs too: the analysis is finished."""
        for path in self.folder.glob("*.parquet"):
            path.unlink()

    def _path(self, seed: int) -> Path:
        return self.folder / f"{digest_of([self.inputs, str(seed)])}.parquet"
