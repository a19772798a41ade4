"""Golden values: the small study gives the tables and estimates it gave before the code was moved.

A change of results on purpose rewrites them:
`python -m learn_assets_tests.defs.test_golden_values` prints the new document.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets_tests.defs.made import ENCODER, MadeStudy, tiny_study

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden_values.json"
# Vectors differ with the processor (bfloat16 or not), and whatever is learned from them.
WITHOUT_TEXT = ["age_sex", "count"]
KEYS = ["feature_set", "learner", "metric"]


def table_digests(lake: Lake) -> dict[str, str]:
    """Return a digest of the values of every table that no encoder changes, by its place."""
    folder = lake.root / "tables"
    return {
        str(path.relative_to(folder).with_suffix("")): _digest(pl.read_parquet(path, glob=False))
        for path in sorted(folder.rglob("*.parquet"))
        if path.parent.name != ENCODER and "leaderboard" not in path.name
    }


def estimates(made: MadeStudy) -> dict[str, float]:
    """Return every estimate of the models that read no text, by window, model and metric."""
    found: dict[str, float] = {}
    for window in made.study.windows:
        frame = made.lake.read("performance", window, ENCODER)
        known = frame.filter(
            pl.col("feature_set").is_in(WITHOUT_TEXT) & pl.col("estimate").is_not_null()
        )
        for *names, estimate in known.select(*KEYS, "estimate").iter_rows():
            found[" ".join([window.key, *map(str, names)])] = estimate
    return found


def _digest(frame: pl.DataFrame) -> str:
    document = frame.write_json().encode()
    return hashlib.sha256(str(frame.schema).encode() + document).hexdigest()[:16]


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    """The committed values."""
    document: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return document


def test_tables_have_the_values_they_had(made: MadeStudy, golden: dict[str, Any]) -> None:
    found = table_digests(made.lake)
    assert len(found) > 70
    assert {name for name in found if found[name] != golden["tables"].get(name)} == set()
    assert set(golden["tables"]) == set(found)


def test_models_have_the_performance_they_had(made: MadeStudy, golden: dict[str, Any]) -> None:
    assert estimates(made) == pytest.approx(golden["estimates"], rel=1e-6, abs=1e-9)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        fresh = MadeStudy(tiny_study(), Path(home))
        fresh.materialize()
        values = {"tables": table_digests(fresh.lake), "estimates": estimates(fresh)}
    sys.stdout.write(json.dumps(values, indent=1) + "\n")
