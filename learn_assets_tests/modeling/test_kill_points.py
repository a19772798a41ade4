"""Bundles and champions after `kill -9` at every change that writing them makes to the disk."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from learn_assets.modeling.bundle import Provenance, write_bundle
from learn_assets.modeling.pipeline import build_cell, cross_validate_cell, train_cell
from learn_assets_tests.modeling.site import ENCODER, SMALL, cell_tables

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("what", "fewest"), [("bundle", 10), ("champion", 20), ("champion_again", 20)]
)
def test_a_kill_at_any_moment_leaves_one_whole_version(
    what: str, fewest: int, tmp_path: Path
) -> None:
    done = killed_at_every_change(what, tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= fewest


def test_a_bundle_written_file_by_file_is_found_out(tmp_path: Path) -> None:
    done = killed_at_every_change("bundle_in_place", tmp_path)
    assert done.returncode != 0
    assert "what was left behind is not right" in done.stderr


def killed_at_every_change(what: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the program on two bundles, in a process without threads of its own."""
    cell = build_cell(cell_tables(), SMALL)
    for name, seed in (("old", 7), ("new", 8)):
        protocol = replace(SMALL, seed=seed, feature_sets=("count",))
        origin = Provenance(name, "LIS-730_BP-180_FUP-1825", ENCODER, {})
        write_bundle(train_cell(cell, protocol, origin), tmp_path / name, scope="site")
    work = tmp_path / "work"
    work.mkdir()
    if what.startswith("champion"):
        cross_validate_cell(cell, SMALL).frame.write_parquet(work / "predictions.parquet")
    program = [sys.executable, "-m", "learn_assets_tests.modeling.kill_points", what]
    folders = [tmp_path / "old", tmp_path / "new", work]
    return subprocess.run(
        [*program, *map(str, folders)], check=False, capture_output=True, text=True
    )
