"""The history of champions: whole or not at all, altered by nobody, and back in one step."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from learn_assets.modeling import champion as module
from learn_assets.modeling.bundle import BundleError
from learn_assets.modeling.champion import ChampionError, ChampionHistory, champion_digest
from learn_assets_tests.modeling.site import site_bundles

PREDICTIONS = pl.DataFrame(
    {
        "patient_id": ["P1", "P2"],
        "fold": pl.Series([0, 1], dtype=pl.Int32),
        "feature_set": ["learn", "learn"],
        "learner": ["svm", "svm"],
        "probability": [0.2, 0.7],
        "label": pl.Series([0, 1], dtype=pl.Int8),
    }
)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return site_bundles(tmp_path_factory.mktemp("bundles"), "svm")


@pytest.fixture
def history(tmp_path: Path) -> ChampionHistory:
    return ChampionHistory(tmp_path / "champion")


def in_force(history: ChampionHistory) -> str:
    current = history.current()
    assert current is not None
    return current.models.provenance.study


def test_every_decision_stays_on_record(history: ChampionHistory, bundles: list[Path]) -> None:
    assert history.current() is None
    first = history.promote(bundles[0], PREDICTIONS, "the first")
    history.keep("f" * 64, "worse")
    history.promote(bundles[1], PREDICTIONS, "better")
    assert [(entry.action, entry.reason) for entry in history.entries()] == [
        ("promoted", "the first"),
        ("kept", "worse"),
        ("promoted", "better"),
    ]
    assert in_force(history) == "b"
    current = history.current()
    assert current is not None
    assert current.out_of_fold.equals(PREDICTIONS)
    assert first.champion != current.digest


def test_the_same_verdict_is_told_once(history: ChampionHistory, bundles: list[Path]) -> None:
    history.promote(bundles[0], PREDICTIONS, "the first")
    for _ in range(3):
        history.keep("f" * 64, "worse")
    assert len(history.entries()) == 2


def test_rolling_back_is_one_step_and_withdraws_what_was(
    history: ChampionHistory, bundles: list[Path]
) -> None:
    with pytest.raises(ChampionError, match="no champion yet"):
        history.roll_back()
    digests = [history.promote(bundle, PREDICTIONS, "-").champion for bundle in bundles]
    history.roll_back()
    assert in_force(history) == "b"
    assert history.withdrawn() == {digests[2]}
    history.roll_back(digests[0][:12])
    assert in_force(history) == "a"
    assert history.withdrawn() == set(digests[1:])
    history.promote(bundles[2], PREDICTIONS, "decided by a person")
    assert in_force(history) == "c"
    assert history.withdrawn() == {digests[1]}
    with pytest.raises(ChampionError, match="0000"):
        history.roll_back("0000")


def test_a_kill_before_the_last_step_leaves_the_champion_that_was(
    history: ChampionHistory, bundles: list[Path], tmp_path: Path
) -> None:
    history.promote(bundles[0], PREDICTIONS, "the first")
    PREDICTIONS.write_parquet(tmp_path / "predictions.parquet")
    script = (
        "import os, signal, sys, polars as pl\n"
        "from pathlib import Path\n"
        "from learn_assets.modeling import champion\n"
        "champion._replace_history = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "folder, bundle, table = map(Path, sys.argv[1:])\n"
        "champion.ChampionHistory(folder).promote(bundle, pl.read_parquet(table), 'second')\n"
    )
    arguments = [tmp_path / "champion", bundles[1], tmp_path / "predictions.parquet"]
    done = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], check=False)
    assert done.returncode == -signal.SIGKILL
    versions = tmp_path / "champion" / "versions"
    assert len([path for path in versions.iterdir() if not path.name.startswith(".")]) == 2
    assert in_force(history) == "a"
    assert len(history.entries()) == 1
    # What the killed run left half-written under that name is put right.
    orphan = next(
        path for path in versions.iterdir() if path.name not in history.entries()[0].version
    )
    (orphan / "bundle" / "manifest.json").write_text("{}")
    history.promote(bundles[1], PREDICTIONS, "second")
    assert in_force(history) == "b"


def test_a_failure_while_a_version_is_copied_leaves_nothing(
    history: ChampionHistory,
    bundles: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    history.promote(bundles[0], PREDICTIONS, "the first")

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(module.pl.DataFrame, "write_parquet", full_disk)
    with pytest.raises(OSError, match="no space"):
        history.promote(bundles[1], PREDICTIONS, "second")
    assert in_force(history) == "a"
    assert len(list((tmp_path / "champion" / "versions").iterdir())) == 1


def alter(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_an_altered_version_is_refused_and_the_one_before_still_serves(
    history: ChampionHistory, bundles: list[Path], tmp_path: Path
) -> None:
    history.promote(bundles[0], PREDICTIONS, "the first")
    version = (
        tmp_path / "champion" / "versions" / history.promote(bundles[1], PREDICTIONS, "-").version
    )
    alter(version / "out_of_fold.parquet")
    with pytest.raises(ChampionError, match="out_of_fold"):
        history.current()
    alter(version / "out_of_fold.parquet")
    for path in sorted((version / "bundle").rglob("*.safetensors")):
        alter(path)
        with pytest.raises(BundleError, match="altered"):
            history.current()
        alter(path)
    assert in_force(history) == "b"
    alter(version / "bundle" / "manifest.json")
    with pytest.raises(BundleError, match="announced"):
        history.current()
    history.roll_back()
    assert in_force(history) == "a"


@pytest.mark.parametrize("change", ["reason", "champion", "drop", "drop_last", "swap"])
def test_an_altered_history_is_refused(
    history: ChampionHistory, bundles: list[Path], tmp_path: Path, change: str
) -> None:
    for bundle in bundles:
        history.promote(bundle, PREDICTIONS, "-")
    path = tmp_path / "champion" / "history.json"
    content = json.loads(path.read_text())
    entries = content["entries"]
    if change == "drop":
        del entries[1]
    elif change == "drop_last":
        del entries[-1]
    elif change == "swap":
        entries[0], entries[1] = entries[1], entries[0]
    else:
        entries[-1][change] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(ChampionError, match="altered"):
        champion_digest(tmp_path / "champion")
    path.write_text("[{")
    with pytest.raises(ChampionError, match="cannot be read"):
        history.current()
