"""The champion in the pipeline: it scores, stays, leaves and comes back, unaltered."""

from __future__ import annotations

import json
import os

import polars as pl
import pytest

from learn_assets import __main__ as command_line
from learn_assets.analyses.champion import asset as module
from learn_assets.defs.stages import cell_runs
from learn_assets.modeling.bundle import bundle_digest
from learn_assets.modeling.challenge import Verdict
from learn_assets.modeling.champion import Champion
from learn_assets.modeling.lake_cell import champion_history
from learn_assets_tests.defs.made import (
    ENCODER,
    MadeStudy,
    materialized,
    tiny_study,
    write_study_file,
)

OTHER_MODELS = {"learners": ["elastic_net"], "folds": 2, "seed": 9}


@pytest.fixture(autouse=True)
def _unchanged_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(command_line, "keep_private", lambda: None)


def in_force(made: MadeStudy) -> Champion:
    window, encoder = made.study.windows[0], made.study.encoder(ENCODER)
    found = champion_history(made.lake, window, encoder).current()
    assert found is not None
    return found


def scores_now(made: MadeStudy) -> pl.DataFrame:
    scores = made.lake.read("risk_scores", made.study.windows[0], ENCODER)
    return scores.filter(pl.col("basis") == "final_model")


def newest(made: MadeStudy) -> str:
    folder = made.lake.folder("trained_models", made.study.windows[0], ENCODER)
    return bundle_digest(folder / "bundle")


def retrained(made: MadeStudy, monkeypatch: pytest.MonkeyPatch, *, promoted: bool) -> MadeStudy:
    """Train other models; the evidence is decided by the test."""
    reason = "as the test says"
    monkeypatch.setattr(module, "judge", lambda *_: Verdict(promoted, reason))
    other = MadeStudy(tiny_study(models=OTHER_MODELS), made.home)
    assert other.run_job("risk_models", window=0).success
    return other


def test_the_first_models_are_in_force_and_score(made: MadeStudy) -> None:
    champion = in_force(made)
    assert champion.digest == newest(made)
    assert made.latest("risk_scores", made.cell_key(0))["champion"] == champion.digest
    labeled = made.lake.read("cohort", made.study.windows[0]).drop_nulls("label")["patient_id"]
    assert set(champion.out_of_fold["patient_id"]) == set(labeled)


def test_a_rejected_challenger_changes_no_score_of_the_eligible(
    copied: MadeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, scores = in_force(copied), scores_now(copied)
    other = retrained(copied, monkeypatch, promoted=False)
    assert newest(other) != before.digest
    assert in_force(other).digest == before.digest
    assert scores_now(other).equals(scores)
    told = other.latest("champion", other.cell_key(0))
    assert (told["decision"], told["reason"]) == ("kept", "as the test says")
    # Judging the same models again is the same decision.
    assert other.run_job("risk_models", "champion", window=0).success
    assert other.latest("champion", other.cell_key(0))["decisions"] == 2


def test_rolling_back_brings_the_scores_back_and_holds(
    copied: MadeStudy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, scores = in_force(copied), scores_now(copied)
    other = retrained(copied, monkeypatch, promoted=True)
    assert in_force(other).digest == newest(other) != before.digest
    assert not scores_now(other).equals(scores)
    os.environ |= {"LEARN_HOME": str(other.home), "DAGSTER_HOME": str(other.dagster_home)}
    cell = ["--window", other.study.windows[0].key, "--encoder", ENCODER]
    study = ["--study", str(write_study_file(other))]
    assert command_line.main(["roll-back", *cell, *study]) == 0
    shown = capsys.readouterr().out
    assert f"{before.digest[:12]} (" in shown
    assert "everyone eligible now is scored" in shown
    assert in_force(other).digest == before.digest
    assert scores_now(other).equals(scores)
    # The withdrawn models are still the newest, and are not promoted behind the person's back.
    assert cell_runs(other.study, other.lake)[0].current
    assert other.run_job("risk_models", "champion", window=0).success
    assert in_force(other).digest == before.digest
    reason = ["--reason", "the new laboratory is in it"]
    capsys.readouterr()
    assert command_line.main(["promote", *cell, *study, *reason, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["champion"] == newest(other)[:12]
    assert told["reason"].endswith(reason[1])
    assert (told["scored"], told["failure"]) == (True, None)
    assert in_force(other).digest == newest(other)
    assert command_line.main(["roll-back", *cell, *study, "--to", "0000"]) == 2
    assert "0000" in capsys.readouterr().err


@pytest.mark.parametrize("spoiled", ["history.json", "out_of_fold.parquet", "manifest.json"])
def test_an_altered_champion_scores_nobody(copied: MadeStudy, spoiled: str) -> None:
    folder = copied.lake.folder("champion", copied.study.windows[0], ENCODER)
    path = next(folder.rglob(spoiled))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"first", b"worst") if b"first" in content else content + b" ")
    before = scores_now(copied)
    result = copied.run_job("risk_models", "champion", "risk_scores", window=0)
    assert not result.success
    assert materialized(result) == set()
    assert scores_now(copied).equals(before)
