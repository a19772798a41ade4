"""The default pipeline on synthetic downloads: none where none is planted, by every algorithm."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.metrics import adjusted_rand_score

from learn_assets.lake import Lake
from learn_assets.study.clusters import ClustererName, ClusterOptions
from learn_assets.study.subtypes import DischargeFiles, PruningRules, SyntheticDischarges
from learn_assets.subtypes.admissions import SexAdmissions, admissions_of
from learn_assets.subtypes.descriptions import code_titles
from learn_assets.subtypes.discharges import read_discharges
from learn_assets.subtypes.evidence import MAIN, select_counts, selection_frame, verdict_frame
from learn_assets.subtypes.membership import find_members
from learn_assets.subtypes.spaces import (
    embed_admissions,
    embedded_of,
    embedding_frames,
    main_representation,
)
from learn_assets.synthetic.discharges import discharge_truth, write_discharge_file
from learn_assets.validation.contracts import check_table

SEEDS = 20
QUICK = ClusterOptions(largest_count=4, resamples=20, null_files=49)


@pytest.fixture(scope="module")
def names() -> dict[str, str]:
    """Descriptions of all codes of the packaged release."""
    return dict(code_titles(None).select("code", "description").iter_rows())


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake that keeps the vectors of descriptions, so that each text is embedded once."""
    return Lake(tmp_path_factory.mktemp("vectors"))


def _males(folder: Path, settings: SyntheticDischarges) -> SexAdmissions:
    file = folder / f"{settings.seed}.csv"
    write_discharge_file(file, settings)
    lake = Lake(folder / f"lake{settings.seed}")
    read_discharges(DischargeFiles(format="rae_cmbd", files=(file,)), PruningRules(), lake)
    return admissions_of(lake.read("discharges"), "M")


def _settings(seed: int, admissions: int, planted: int) -> SyntheticDischarges:
    return SyntheticDischarges(
        format="synthetic",
        admissions=admissions,
        seed=seed,
        planted_clusters=planted,
        dirty_share=0.0,
    )


@pytest.mark.slow
def test_files_without_structure_are_called_so_and_the_published_rule_never_does(
    tmp_path: Path, names: dict[str, str], vectors: Lake
) -> None:
    called, published = 0, []
    for seed in range(SEEDS):
        admissions = _males(tmp_path, _settings(seed, 300, 0))
        main = main_representation(admissions, QUICK, names, vectors)
        selection = select_counts(admissions, {MAIN: main}, QUICK)[MAIN]
        called += selection.structure
        assert selection.published is not None
        published.append(selection.published.count)
    assert called <= SEEDS - 19
    assert min(published) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("clusterer", ["kmeans", "gaussian_mixture", "consensus", "hdbscan"])
def test_every_algorithm_works_through_the_options(
    clusterer: ClustererName, tmp_path: Path, names: dict[str, str], vectors: Lake
) -> None:
    options = ClusterOptions(
        clusterer=clusterer,
        largest_count=4,
        resamples=20,
        null_files=19,
        significance=0.05,
        dimensions=10,
    )
    settings = _settings(3, 500, 4)
    admissions = _males(tmp_path, settings)
    main = main_representation(admissions, options, names, vectors)
    embedded = embed_admissions(admissions, main)
    selections = select_counts(admissions, {MAIN: main}, options)
    tables = {
        "cluster_selection": selection_frame("M", selections),
        "cluster_verdict": verdict_frame(admissions, {MAIN: main.name}, selections, options),
    }
    assert all(check_table(frame, name).passed for name, frame in tables.items())
    assert selections[MAIN].count == 4
    counts = {MAIN: 4, "baseline": 2}
    found = find_members(admissions, embedded.vectors, counts, options).labels[MAIN]
    truth = admissions.discharges.join(discharge_truth(settings), on="admission_id")["cluster"]
    # HDBSCAN leaves out who lies between dense regions.
    kept = found >= 0
    assert kept.mean() > 0.8
    assert adjusted_rand_score(truth.to_numpy()[kept], found[kept]) > 0.9


def test_few_admissions_are_in_one_cluster_and_say_why(tmp_path: Path) -> None:
    admissions = _males(tmp_path, _settings(1, 100, 4))
    few = admissions_of(admissions.discharges.head(30), "M")
    main = main_representation(
        few, QUICK.model_copy(update={"representation": "tfidf"}), {}, Lake(tmp_path / "lake")
    )
    embedded = embed_admissions(few, main)
    selections = select_counts(few, {MAIN: main, "baseline": main}, QUICK)
    verdicts = verdict_frame(few, {MAIN: "a", "baseline": "b"}, selections, QUICK)
    assert "fewer than 50 admissions" in verdicts["verdict"][0]
    found = find_members(few, embedded.vectors, {MAIN: 1, "baseline": 1}, QUICK)
    assert set(found.labels[MAIN]) == {0}
    frames = embedding_frames(few, embedded)
    assert check_table(frames[0], "discharge_embeddings").passed
    assert check_table(frames[1], "embedding_directions").passed
    assert embedded_of(*frames).vectors.shape == (30, 0)


def test_vectors_keep_their_distances_in_the_space_of_both_sexes(tmp_path: Path) -> None:
    admissions = _males(tmp_path, _settings(1, 200, 4))
    options = QUICK.model_copy(update={"representation": "tfidf", "dimensions": 10})
    main = main_representation(admissions, options, {}, Lake(tmp_path / "lake"))
    embedded = embed_admissions(admissions, main)
    back = embedded_of(*embedding_frames(admissions, embedded))
    assert (back.vectors == embedded.vectors).all()
    products = embedded.vectors @ embedded.vectors.T
    assert embedded.shared @ embedded.shared.T == pytest.approx(products, abs=1e-4)
