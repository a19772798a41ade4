"""The language model through Dagster: trained once, current afterwards, one a sex when asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from learn_assets.definitions import build_definitions
from learn_assets.defs import runner
from learn_assets.defs.language import language_runs
from learn_assets.defs.runner import StageOutcome, materialize_study
from learn_assets.defs.subtypes_stages import data_runs
from learn_assets.lake import Lake
from learn_assets.schemas.registry import LANGUAGE_MODELS, made_in
from learn_assets.study.subtypes import SubtypeStudy

pytestmark = pytest.mark.slow

QUICK = {"masked": {"epochs": 1}, "contrastive": {"epochs": 1, "batch": 32, "projection": 16}}


def language_study(**language_model: object) -> SubtypeStudy:
    return SubtypeStudy.model_validate(
        {
            "question": "subtypes",
            "name": "small_language",
            "title": "Small subtypes study",
            "synthetic": True,
            "source": {"format": "synthetic", "admissions": 150, "dirty_share": 0.0},
            "language_model": {**QUICK, **language_model},
        }
    )


def materialize(study: SubtypeStudy) -> list[StageOutcome]:
    lake = Lake.open(study.name, study.lake.home)
    outcomes = materialize_study(study, lake, build_definitions(study), report=lambda _: None)
    return [outcome for outcome in outcomes if outcome.run.job == LANGUAGE_MODELS]


@dataclass(frozen=True)
class Told:
    """What Dagster keeps of the runs."""

    metadata: dict[str, dict[str, object]]
    everything: str


def told() -> Told:
    with dg.DagsterInstance.get() as instance:
        metadata, lines = {}, []
        for run in instance.get_runs():
            for record in instance.all_logs(run.run_id):
                lines.append(record.to_json() if hasattr(record, "to_json") else repr(record))
                event = record.dagster_event
                if event is not None and event.is_step_materialization:
                    made = event.step_materialization_data.materialization
                    metadata[made.asset_key.path[-1]] = {
                        name: value.value for name, value in made.metadata.items()
                    }
        return Told(metadata, "\n".join(lines))


@pytest.fixture(autouse=True)
def _no_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SUBTYPE_STAGES", (data_runs, language_runs))


def test_one_model_serves_both_sexes_and_is_made_once() -> None:
    study = language_study()
    (made,) = materialize(study)
    assert (made.status, made.reason, made.run.partition_key) == ("made", "", None)
    lake = Lake.open(study.name, study.lake.home)
    texts = lake.read("diagnosis_texts")
    assert lake.read("text_embeddings")["admission_id"].to_list() == texts["admission_id"].to_list()
    assert [outcome.status for outcome in materialize(study)] == ["current"]
    shown = told()
    assert set(made_in(LANGUAGE_MODELS)) <= shown.metadata.keys()
    assert "data:image/svg+xml" in str(shown.metadata["language_model"]["losses"])
    assert shown.metadata["language_model"]["admissions_held_out"] == 15
    assert shown.metadata["contrastive_model"]["synthetic_data"] == "True"
    for text in texts["descriptions"].explode(empty_as_null=False).unique().to_list():
        assert text not in shown.everything
    # No file that would be unpickled is anywhere in the lake.
    suffixes = {path.suffix for path in Path(lake.root).rglob("*") if path.is_file()}
    assert suffixes <= {
        ".parquet",
        ".json",
        ".safetensors",
        ".csv",
        ".docx",
        ".svg",
        ".png",
        ".lock",
    }


def test_each_sex_has_its_model_when_asked_and_its_admissions_alone() -> None:
    study = language_study(sharing="each_sex")
    outcomes = materialize(study)
    assert [(o.run.partition_key, o.status, o.reason) for o in outcomes] == [
        ("F", "made", ""),
        ("M", "made", ""),
    ]
    lake = Lake.open(study.name, study.lake.home)
    hashes = {lake.read("contrastive_model", sex)["model_sha256"][0] for sex in ("F", "M")}
    assert len(hashes) == 2
    discharges = lake.read("discharges")
    for sex in ("F", "M"):
        of_sex = discharges.filter(discharges["sex"] == sex)["admission_id"].to_list()
        assert lake.read("text_embeddings", sex)["admission_id"].to_list() == of_sex


def test_a_study_without_a_language_model_trains_none() -> None:
    study = SubtypeStudy.model_validate({**language_study().model_dump(), "language_model": None})
    assert language_runs(study, Lake.open(study.name, study.lake.home)) == []
    graph = build_definitions(study).resolve_asset_graph()
    assert dg.AssetKey("diagnosis_texts") in graph.get_all_asset_keys()
    assert not {dg.AssetKey(step) for step in made_in(LANGUAGE_MODELS)} & graph.get_all_asset_keys()
