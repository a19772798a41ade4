"""Bundles: whole, verified, without patients, and refused when anything does not fit."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from learn_assets.modeling.bundle import (
    BundleError,
    Provenance,
    TrainedModels,
    read_bundle,
    score,
    write_bundle,
)
from learn_assets.modeling.features import EncoderIdentity
from learn_assets.modeling.pipeline import Cell, build_cell, train_cell
from learn_assets_tests.modeling.site import ENCODER, SMALL, cell_tables

PROVENANCE = Provenance(
    "made_up", "LIS-730_BP-180_FUP-1825", ENCODER, {"counts": {"roll_up_icd": True}}
)


@pytest.fixture(scope="module")
def cell() -> Cell:
    return build_cell(cell_tables(), SMALL)


@pytest.fixture(scope="module")
def trained(cell: Cell) -> TrainedModels:
    protocol = replace(SMALL, learners=("elastic_net", "svm", "random_forest", "xgboost", "mlp"))
    return train_cell(cell, protocol, PROVENANCE)


@pytest.fixture
def folder(trained: TrainedModels, tmp_path: Path) -> Path:
    write_bundle(trained, tmp_path / "out" / "bundle", scope="transfer")
    return tmp_path / "out" / "bundle"


def test_a_site_bundle_scores_as_the_models_in_memory(
    trained: TrainedModels, cell: Cell, tmp_path: Path
) -> None:
    summary = write_bundle(trained, tmp_path / "bundle", scope="site")
    loaded = read_bundle(tmp_path / "bundle", digest=summary.digest)
    assert score(loaded, cell.blocks).equals(score(trained, cell.blocks))
    assert loaded.provenance == PROVENANCE
    assert summary.left_out == ()


def test_a_transfer_bundle_leaves_out_models_that_hold_patient_rows(
    trained: TrainedModels, cell: Cell, tmp_path: Path
) -> None:
    summary = write_bundle(trained, tmp_path / "bundle", scope="transfer")
    assert set(summary.left_out) == {"count/svm", "embedding/svm", "learn/svm"}
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["carries_patient_rows"] is False
    learners = {item.learner for item in read_bundle(tmp_path / "bundle").models}
    assert learners == {"elastic_net", "random_forest", "xgboost", "mlp"}


def test_no_patient_and_no_rare_feature_is_in_it(tmp_path: Path) -> None:
    tables = cell_tables()
    rare = pl.DataFrame(
        {
            "patient_id": tables.cohort["patient_id"][:4],
            "feature": ["diagnosis|ICD-10-CM|RARE"] * 4,
            "count": [1.0] * 4,
        }
    )
    cell = build_cell(replace(tables, event_counts=pl.concat([tables.event_counts, rare])), SMALL)
    write_bundle(train_cell(cell, SMALL, PROVENANCE), tmp_path / "bundle", scope="transfer")
    content = b"".join(path.read_bytes() for path in (tmp_path / "bundle").rglob("*.*"))
    assert b"RARE" not in content
    assert not any(patient.encode() in content for patient in tables.cohort["patient_id"])
    assert {path.suffix for path in (tmp_path / "bundle").rglob("*.*")} <= {
        ".json",
        ".safetensors",
        ".ubj",
    }


def test_equal_models_give_equal_bytes(cell: Cell, tmp_path: Path) -> None:
    digests = [
        write_bundle(train_cell(cell, SMALL, PROVENANCE), tmp_path / name, scope="site").digest
        for name in ("first", "second")
    ]
    assert digests[0] == digests[1]


def test_an_altered_file_is_refused(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert len(files) > 10
    for target in files:
        content = target.read_bytes()
        target.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BundleError, match=re.escape(target.relative_to(folder).as_posix())):
            read_bundle(folder)
        target.write_bytes(content)
    assert read_bundle(folder).models


def test_a_missing_an_added_and_a_linked_file_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "extra.json").write_text("{}")
    with pytest.raises(BundleError, match=r"extra\.json"):
        read_bundle(folder)
    (folder / "extra.json").unlink()
    (folder / "preprocessing" / "settings.json").unlink()
    with pytest.raises(BundleError, match="missing"):
        read_bundle(folder)


def test_a_changed_manifest_is_refused_when_its_digest_is_known(
    trained: TrainedModels, tmp_path: Path
) -> None:
    summary = write_bundle(trained, tmp_path / "bundle", scope="transfer")
    manifest = tmp_path / "bundle" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("made_up", "another"))
    with pytest.raises(BundleError, match="announced"):
        read_bundle(tmp_path / "bundle", digest=summary.digest)


def test_another_format_and_an_empty_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format_version": 99}))
    with pytest.raises(BundleError, match="99"):
        read_bundle(folder)
    with pytest.raises(BundleError, match="manifest"):
        read_bundle(tmp_path)


def test_vectors_of_another_encoder_are_refused(folder: Path, cell: Cell) -> None:
    foreign = replace(cell.blocks, encoder=EncoderIdentity("minilm", "2"))
    with pytest.raises(BundleError, match="revision 2"):
        score(read_bundle(folder), foreign)


def test_another_site_with_other_features_is_scored(folder: Path) -> None:
    tables = cell_tables(labeled=20, unlabeled=5, seed=9)
    counts = tables.event_counts.with_columns(
        pl.col("feature").str.replace("A0", "B0", literal=True)
    )
    cell = build_cell(replace(tables, event_counts=counts), SMALL)
    bundle = read_bundle(folder)
    scores = score(bundle, cell.blocks)
    assert scores["patient_id"].n_unique() == 25
    assert scores["probability"].is_between(0, 1).all()
    assert bundle.preprocessing is not None
    assert set(cell.blocks.reference.count_names) - set(bundle.preprocessing.reference.count_names)


def test_writing_again_replaces_the_whole_folder(folder: Path, trained: TrainedModels) -> None:
    (folder / "stale.json").write_text("{}")
    write_bundle(replace(trained, models=trained.models[:1]), folder, scope="transfer")
    assert len(read_bundle(folder).models) == 1
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_what_a_killed_writer_left_goes_and_other_folders_beside_a_bundle_stay(
    folder: Path, trained: TrainedModels
) -> None:
    left = folder.parent / f".learn-assets-staged-{'0' * 32}" / "new"
    theirs = folder.parent / f".{folder.name}.old"
    left.mkdir(parents=True)
    theirs.mkdir()
    write_bundle(trained, folder, scope="transfer")
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, theirs.name}


def test_a_folder_that_is_no_bundle_is_never_replaced(
    tmp_path: Path, trained: TrainedModels
) -> None:
    theirs = tmp_path / "thesis.txt"
    theirs.write_text("years of work")
    with pytest.raises(BundleError, match="another folder"):
        write_bundle(trained, tmp_path, scope="transfer")
    assert theirs.read_text() == "years of work"


def test_a_failed_write_leaves_the_old_bundle(
    folder: Path, trained: TrainedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(path: Path, content: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("learn_assets.modeling.bundle.write_json", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_bundle(trained, folder, scope="transfer")
    assert read_bundle(folder).models
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_damaged_bundle_is_replaced(folder: Path, trained: TrainedModels) -> None:
    (folder / "manifest.json").unlink()
    summary = write_bundle(trained, folder, scope="transfer")
    assert read_bundle(folder, digest=summary.digest).provenance == PROVENANCE
