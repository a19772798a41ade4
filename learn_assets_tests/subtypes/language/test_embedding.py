"""Vectors of admissions: the same however asked, fit to be clustered, and no text in any log."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from learn_assets.lake import Lake
from learn_assets.subtypes.coded import CodedAdmissions, permuted
from learn_assets.subtypes.language import fitting
from learn_assets.subtypes.language.embedding import AdmissionVectors, embed_texts
from learn_assets.subtypes.language.history import training_frame
from learn_assets.subtypes.language.loss_figure import loss_figure
from learn_assets.subtypes.language.representation import (
    language_model_representation,
    model_folder,
    place_of,
    texts_of,
)
from learn_assets.subtypes.language.texts import write_diagnosis_texts
from learn_assets.subtypes.language.trained_model import TrainedModelError
from learn_assets.validation.contracts import check_table
from learn_assets_tests.subtypes.language.made import DESCRIPTIONS, make_discharges, quick_options

OPTIONS = quick_options(
    contrastive={"epochs": 8, "batch": 16, "projection": 16, "learning_rate": 2e-3}
)


def fill(lake: Lake) -> None:
    """Write discharges and their descriptions; each admission has a finding of its own."""
    discharges = make_discharges(240).with_columns(
        diagnoses=pl.concat_list("diagnoses", pl.format("N{}", "admission_id"))
    )
    lake.write("discharges", discharges)
    texts = {**DESCRIPTIONS, **{f"N{row}": f"finding number {row}" for row in range(240)}}
    described = pl.DataFrame({"code": list(texts), "description": list(texts.values())})
    lake.write("diagnosis_description", described)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake whose language model is trained, as the assets do it."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    fill(lake)
    write_diagnosis_texts(lake)
    texts = texts_of(lake, None)
    folders = [model_folder(lake, name, None) for name in ("language_model", "contrastive_model")]
    masked = fitting.fit_language_model(texts, OPTIONS, folders[0])
    contrastive = fitting.fit_contrastive_model(texts, OPTIONS, *folders)
    lake.write("language_model", training_frame(masked))
    lake.write("contrastive_model", training_frame(contrastive))
    lake.write("text_embeddings", embed_texts(contrastive.saved, texts, pretrained=False))
    return lake


@pytest.mark.slow
def test_both_trainings_learn_and_leave_tables_that_hold_their_contract(trained: Lake) -> None:
    for table in ("language_model", "contrastive_model", "text_embeddings"):
        assert check_table(trained.path(table), table).passed
    for table in ("language_model", "contrastive_model"):
        looks = trained.read(table)
        assert looks["held_out_loss"].min() < 0.95 * looks["held_out_loss"][0]
        figure = loss_figure(looks, "Training", "loss")
        assert not check_table(looks.with_columns(best=pl.lit(value=True)), table).passed
        assert f"{looks['held_out_loss'][0]:.2f} before training" in figure.alternative


@pytest.mark.slow
def test_vectors_of_the_table_are_those_of_the_model(trained: Lake) -> None:
    representation = language_model_representation(trained, OPTIONS, "F", dimensions=5)
    of_sex = trained.read("discharges").filter(pl.col("sex") == "F")
    coded = CodedAdmissions.of(of_sex["diagnoses"].to_list())
    stored = of_sex.join(trained.read("text_embeddings"), on="admission_id", maintain_order="left")
    given = representation.embed(coded)
    assert (given == np.array(stored["vector"].to_list(), dtype=np.float32)).all()
    assert isinstance(representation.embed, AdmissionVectors)
    representation.embed.known = {}
    again = representation.embed(coded.take(np.arange(len(coded))))
    assert np.abs(again - given).max() < 1e-5
    # A null file has admissions that nobody had, and the model has a vector for each.
    null = permuted(coded, np.random.default_rng(0))
    vectors = representation.fit(null).transform(null)
    assert vectors.shape == (len(coded), 5)
    assert np.isfinite(vectors).all()


@pytest.mark.slow
def test_topics_are_found_and_length_is_not(trained: Lake) -> None:
    of_sex = trained.read("discharges").filter(pl.col("sex") == "M")
    coded = CodedAdmissions.of(of_sex["diagnoses"].to_list())
    topics = of_sex["diagnoses"].list.first().str.slice(1, 1).to_list()
    fitted = language_model_representation(trained, OPTIONS, "M").fit(coded)
    vectors = fitted.transform(coded)
    labels = KMeans(3, n_init=5, random_state=0).fit_predict(vectors)
    assert adjusted_rand_score(topics, labels) > 0.9
    assert adjusted_mutual_info_score(coded.lengths, labels) < 0.05
    some = np.array([4, 90, 17])
    assert fitted.transform(coded.take(some)) == pytest.approx(vectors[some], abs=1e-5)


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainedModelError, match="materialize it first"):
        fitting.trained_model(tmp_path)


def test_a_sex_is_served_by_its_own_model_or_by_that_of_both() -> None:
    assert place_of(OPTIONS, "F") is None
    assert place_of(OPTIONS.model_copy(update={"sharing": "each_sex"}), "F") == "F"


@pytest.mark.slow
def test_no_text_is_logged_or_printed_or_drawn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(tmp_path / "lake")
    fill(lake)
    caplog.set_level(logging.DEBUG)
    write_diagnosis_texts(lake)
    texts = texts_of(lake, "F")
    folder = model_folder(lake, "language_model", "F")
    one_pass = quick_options(masked={"epochs": 1})
    fit = fitting.fit_language_model(texts, one_pass, folder)
    said = caplog.text + "".join(capfd.readouterr())
    said += loss_figure(training_frame(fit), "Training", "loss").svg
    for text in [*DESCRIPTIONS.values(), "finding number"]:
        assert text not in said
