"""A pretrained model from a folder: its weights are the start, a head it lacks is new."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from learn_assets.study.language_model import LanguageModelOptions
from learn_assets.subtypes.language import fitting
from learn_assets.subtypes.language.architecture import new_model, pretrained_model
from learn_assets.subtypes.language.tokens import SpecialTokens, make_tokenizer
from learn_assets.subtypes.language.trained_model import (
    TrainedModelError,
    load_language_model,
    open_model,
)
from learn_assets_tests.subtypes.language.made import distinct_texts

pytestmark = pytest.mark.slow

TEXTS = distinct_texts(60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the published model has it: a body without the head for masked tokens."""
    path = tmp_path_factory.mktemp("deberta")
    tokenizer = make_tokenizer(text for row in TEXTS["descriptions"] for text in row)
    tokenizer.save(str(path / "tokenizer.json"))
    new_model(SpecialTokens.of(tokenizer), seed=5).deberta.save_pretrained(path)
    return path


def test_the_body_is_that_of_the_folder_and_the_head_that_of_the_seed(folder: Path) -> None:
    first, again, other = (pretrained_model(folder, seed) for seed in (1, 1, 2))
    state = first.state_dict()
    for name, value in again.state_dict().items():
        assert torch.equal(state[name], value), name
    differs = {n for n, value in other.state_dict().items() if not torch.equal(state[n], value)}
    assert differs
    assert all(name.startswith("cls.") for name in differs)


def test_the_published_preset_trains_on_it_and_a_changed_model_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    options = LanguageModelOptions.model_validate(
        {
            "preset": "published",
            "base_model": folder,
            "masked": {"epochs": 1},
            "contrastive": {"epochs": 1, "projection": 24},
        }
    )
    before = torch.get_num_threads()
    masked = fitting.fit_language_model(TEXTS, options, tmp_path / "masked")
    contrastive = fitting.fit_contrastive_model(
        TEXTS, options, tmp_path / "masked", tmp_path / "contrastive"
    )
    torch.set_num_threads(before)
    assert masked.best.held_out_loss < masked.evaluations[0].held_out_loss
    assert contrastive.saved.settings["vector"] == "projected"
    # What is read back is what was trained, tied weights too.
    model, _ = load_language_model(masked.saved)
    scores = model.get_output_embeddings().weight
    assert scores.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    weights = tmp_path / "masked" / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(TrainedModelError, match=r"model\.safetensors is not what was written"):
        open_model(tmp_path / "masked" / "model")
