"""A path in SQL names one file, whatever characters are in it; every connection is in UTC."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from ruamel.yaml import YAML

from learn_assets.duckdb_session import literal_pattern, open_duckdb, parquet_relation
from learn_assets.warehouse import project_folder

ODD_NAMES = (
    *("lake [v2]", "a*b", "what?", "[", "[]", "]x[", "[[]", "a[!b]", "**", "été [x]", "it's [1]"),
    *(".hidden [a]", "site=2", "{a,b}", "back\\slash", "~"),
)
# What the names above match as patterns.
NEIGHBORS = ("lake 2", "axb", "whatx", "ac", "été x", "it's 1", "deep", ".hidden a")


def written(folder: Path, name: str, number: int) -> Path:
    path = folder / name / "part.parquet"
    path.parent.mkdir(parents=True)
    pl.DataFrame({"number": [number]}).write_parquet(path)
    return path


def test_a_path_is_no_pattern(tmp_path: Path) -> None:
    for name in NEIGHBORS:
        written(tmp_path, name, -1)
    paths = [written(tmp_path, name, number) for number, name in enumerate(ODD_NAMES)]
    with open_duckdb(tmp_path) as connection:
        for number, path in enumerate(paths):
            relation = parquet_relation([path], "filename = true")
            found = connection.execute(f"SELECT * FROM {relation}").fetchall()
            assert found == [(number, str(path))]
        both = connection.execute(f"SELECT number FROM {parquet_relation(paths[:2])}").fetchall()
        assert both == [(0,), (1,)]


def test_a_path_that_no_pattern_matches_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="rename the folder"):
        literal_pattern(Path("/data/x\\[y]/part.parquet"))


def test_every_connection_is_in_utc(tmp_path: Path) -> None:
    with open_duckdb(tmp_path) as connection:
        zone = connection.execute("SELECT current_setting('TimeZone')").fetchone()
    profile = YAML(typ="safe").load(project_folder() / "profiles.yml")
    assert zone == ("UTC",)
    assert profile["learn_assets"]["outputs"]["lake"]["settings"]["TimeZone"] == "UTC"
