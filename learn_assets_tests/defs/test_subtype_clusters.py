"""Clusters of each sex through Dagster: made once, by sex, and stopped by the audit."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from learn_assets.commands.answer import as_json
from learn_assets.definitions import build_definitions
from learn_assets.defs import subtype_clusters, subtypes
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.runner import StageOutcome, materialize_study
from learn_assets.defs.subtypes_stages import cluster_runs, data_runs, result_runs
from learn_assets.lake import Lake
from learn_assets.study.subtypes import SEXES, SubtypeStudy, SyntheticDischarges
from learn_assets.subtypes.admissions import SexAdmissions
from learn_assets.subtypes.audit import NuisanceError, assert_audited
from learn_assets.subtypes.manuscript import AlteredFileError
from learn_assets.subtypes.membership import Membership
from learn_assets.subtypes.page import render_page
from learn_assets.subtypes.summary import subtypes_summary
from learn_assets.synthetic.discharges import discharge_truth

QUICK = {"largest_count": 5, "resamples": 20, "null_files": 49}

SEX_NAMES = ("female", "male")

pytestmark = pytest.mark.slow


def cluster_study(**clusters: object) -> SubtypeStudy:
    return SubtypeStudy.model_validate(
        {
            "question": "subtypes",
            "name": "small_clusters",
            "title": "Small subtypes study",
            "synthetic": True,
            "source": {"format": "synthetic", "admissions": 700, "dirty_share": 0.0},
            "language_model": None,
            "clusters": {**QUICK, **clusters},
        }
    )


@dataclass(frozen=True)
class MadeClusters:
    """A finished lake of the small study."""

    home: Path
    study: SubtypeStudy
    outcomes: tuple[StageOutcome, ...]

    @property
    def lake(self) -> Lake:
        return Lake(self.home / self.study.name)


@pytest.fixture(scope="session")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> MadeClusters:
    """The small study after one run of everything; read only."""
    home = tmp_path_factory.mktemp("clustered")
    study = cluster_study()
    kept = {name: os.environ.get(name) for name in ("LEARN_HOME", "DAGSTER_HOME")}
    (home / "dagster_home").mkdir()
    (home / "dagster_home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    os.environ.update(LEARN_HOME=str(home), DAGSTER_HOME=str(home / "dagster_home"))
    try:
        outcomes = _materialize(study)
    finally:
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return MadeClusters(home, study, tuple(outcomes))


@pytest.fixture
def copied_clusters(clustered: MadeClusters, monkeypatch: pytest.MonkeyPatch) -> MadeClusters:
    """A copy of the finished lake to spoil."""
    home = Path(os.environ["LEARN_HOME"])
    shutil.copytree(clustered.home / clustered.study.name, home / clustered.study.name)
    monkeypatch.setenv("LEARN_HOME", str(home))
    return MadeClusters(home, clustered.study, clustered.outcomes)


def _materialize(study: SubtypeStudy) -> list[StageOutcome]:
    lake = Lake.open(study.name, study.lake.home)
    return materialize_study(study, lake, build_definitions(study), report=lambda _: None)


def test_each_sex_is_clustered_and_what_was_planted_is_found(clustered: MadeClusters) -> None:
    assert [(o.run.label, o.status, o.reason) for o in clustered.outcomes] == [
        ("subtypes_data", "made", ""),
        ("subtype_clusters F", "made", ""),
        ("subtype_clusters M", "made", ""),
        ("subtype_results", "made", ""),
    ]
    settings = clustered.study.source
    assert isinstance(settings, SyntheticDischarges)
    truth = discharge_truth(settings)
    for sex in SEXES:
        found = clustered.lake.read("subtypes", sex).join(truth, on="admission_id")
        assert found.height == clustered.lake.read("subtypes", sex).height
        assert adjusted_rand_score(found["cluster_right"], found["cluster"]) >= 0.9


def test_stability_and_silhouette_beat_the_baseline(clustered: MadeClusters) -> None:
    for sex in SEXES:
        chosen = clustered.lake.read("cluster_selection", sex).filter(pl.col("chosen"))
        main, baseline = (
            chosen.row(by_predicate=pl.col("representation") == role, named=True)
            for role in ("main", "baseline")
        )
        assert main["silhouette"] > baseline["silhouette"] + 0.05
        assert main["mean_jaccard"] >= baseline["mean_jaccard"]
        assert main["rand"] >= baseline["rand"]


def test_clusters_pass_the_audit_that_the_published_method_fails(clustered: MadeClusters) -> None:
    for sex in SEXES:
        audit = clustered.lake.read("nuisance_audit", sex).filter(
            pl.col("nuisance") == "number_of_diagnoses"
        )
        shared = dict(audit.select("representation", "adjusted_mutual_information").iter_rows())
        assert shared["main"] < 0.05
        assert shared["published_texts_and_number"] > 0.05


def test_every_table_and_figure_is_a_file(clustered: MadeClusters) -> None:
    tables = clustered.lake.read("subtype_tables")["file"].to_list()
    assert {Path(name).suffix for name in tables} == {".csv", ".docx"}
    assert {f"table_{n}_{sex}.docx" for n in ("2_subtypes", "3_codes") for sex in SEX_NAMES} <= {
        *tables
    }
    figures = set(clustered.lake.read("subtype_figures")["file"])
    kinds = ("map_pca", "map_umap")
    assert {f"{kind}_{of}.svg" for kind in kinds for of in (*SEX_NAMES, "both")} <= figures
    assert {f"codes_{of}.svg" for of in SEX_NAMES} <= figures


def test_each_code_stands_beside_its_own_description(clustered: MadeClusters) -> None:
    described = clustered.lake.read("diagnosis_description").drop_nulls("description")
    texts = dict(described.select("code", "description").iter_rows())
    for word in SEX_NAMES:
        file = clustered.lake.folder("subtype_tables") / f"table_3_codes_{word}.csv"
        rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))[1:]
        cells = [row[0].strip() for row in rows if row[0].startswith("  ")]
        assert len(cells) > 10
        for cell in cells:
            code, description = cell.split(" ", 1)
            assert texts[code.replace(".", "")] == description


def test_the_page_holds_no_small_count_and_nobody(clustered: MadeClusters) -> None:
    lake = clustered.lake
    page = (lake.folder("subtype_page") / "subtypes.html").read_text(encoding="utf-8")
    assert "SYNTHETIC DATA" in page
    assert "4 subtypes" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    days = lake.read("discharges")["admission_date"].unique().cast(pl.String).to_list()
    assert not [day for day in days if day in page]
    # Cells that hold a count: alone or with its share of the sex or subtype.
    counts = [
        int(number.replace(",", ""))
        for number in re.findall(r"<td[^>]*>([\d,]+) \(\d+\.\d %\)</td>", page)
    ]
    assert len(counts) > 20
    assert not [count for count in counts if 0 < count < clustered.study.privacy.minimum_cell]


def test_an_altered_figure_is_not_put_into_the_page(copied_clusters: MadeClusters) -> None:
    figure = copied_clusters.lake.folder("subtype_figures") / "codes_female.svg"
    figure.write_text("<svg></svg>", encoding="utf-8")
    with pytest.raises(AlteredFileError, match=r"codes_female\.svg"):
        render_page(copied_clusters.study, copied_clusters.lake)


def test_show_tells_the_verdict_and_where_the_page_is(clustered: MadeClusters) -> None:
    found = subtypes_summary(clustered.study, clustered.lake)
    told = found.text
    document = json.loads(as_json(found.document()))
    verdicts = [words for table in document["tables"] for words in table["verdicts"]]
    assert sum("Structure: 4 clusters." in words for words in verdicts) == 2
    for table in document["tables"]:
        assert table["title"] in told
        assert all(cell[:45] in told for row in table["rows"] for cell in row)
    assert told.count("Structure: 4 clusters.") == 2
    assert "The published rule says" in told
    assert str(clustered.lake.folder("subtype_page")) in told


def test_nothing_is_made_twice(copied_clusters: MadeClusters) -> None:
    study = copied_clusters.study
    assert {outcome.status for outcome in _materialize(study)} == {"current"}


def test_a_run_is_made_again_where_something_changed(copied_clusters: MadeClusters) -> None:
    lake, study = copied_clusters.lake, copied_clusters.study

    def current(study: SubtypeStudy) -> list[bool]:
        runs = (data_runs(study, lake), cluster_runs(study, lake), result_runs(study, lake))
        return [run.current for stage in runs for run in stage]

    assert current(study) == [True] * 4
    # A choice about clusters leaves the discharges alone.
    assert current(cluster_study(starts=11)) == [True, False, False, False]
    lake.write("subtypes", lake.read("subtypes", "F").reverse(), window="F")
    assert current(study) == [True, False, True, False]
    (outcome,) = (o for o in _materialize(study) if o.run.label == "subtype_clusters M")
    assert outcome.status == "current"
    assert current(study) == [True] * 4


def test_one_sex_can_be_materialized_alone(copied_clusters: MadeClusters) -> None:
    lake, study = copied_clusters.lake, copied_clusters.study
    before = {sex: lake.stamp("disease_weights", sex) for sex in SEXES}
    lake.path("disease_weights", "F").unlink()
    resource = LakeResource(study_name=study.name, home=str(study.lake.home))
    result = dg.materialize(
        [
            *subtypes.subtype_assets(study),
            *subtype_clusters.subtype_assets(study),
            *subtype_clusters.subtype_asset_checks(study),
        ],
        partition_key="F",
        selection=["disease_weights"],
        resources={"lake": resource},
    )
    assert result.success
    assert [check.check_name for check in result.get_asset_check_evaluations()] == ["contract"]
    assert {sex: lake.stamp("disease_weights", sex) for sex in SEXES} == before


def test_clusters_of_record_length_stop_everything_after_them(
    copied_clusters: MadeClusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_length(admissions: SexAdmissions, *_: object) -> Membership:
        labels = np.minimum(admissions.coded.lengths // 4, 3)
        return Membership({"main": labels, "baseline": labels})

    monkeypatch.setattr("learn_assets.defs.subtype_clusters.find_members", by_length)
    lake = copied_clusters.lake
    before = lake.stamp("disease_weights", "F")
    outcomes = {o.run.label: o for o in _materialize(cluster_study(starts=11))}
    for sex in SEXES:
        assert outcomes[f"subtype_clusters {sex}"].status == "failed"
        assert "nuisance" in outcomes[f"subtype_clusters {sex}"].reason
    assert outcomes["subtype_results"].status == "blocked"
    assert lake.stamp("disease_weights", "F") == before
    # Whoever asks for the results alone is told the same.
    with pytest.raises(NuisanceError, match="length_invariant"):
        assert_audited(lake)
