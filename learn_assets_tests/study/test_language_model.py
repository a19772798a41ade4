"""Options: presets, what replaces them, and errors that say what to place where."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from learn_assets.study.language_model import LanguageModelOptions
from learn_assets.subtypes.language.architecture import BaseModelError, check_base_model
from learn_assets.subtypes.language.fitting import fit_language_model


def test_the_published_preset_is_what_the_publication_states() -> None:
    options = LanguageModelOptions.model_validate({"preset": "published", "base_model": "deberta"})
    assert options.sharing == "each_sex"
    assert (options.masked.mask_share, options.masked.learning_rate) == (0.15, 5e-5)
    assert (options.held_out_share, options.token_limit) == (0.1, 256)
    contrastive = options.contrastive
    assert (contrastive.temperature, contrastive.learning_rate) == (0.05, 1e-5)
    assert contrastive.projection == 768
    assert LanguageModelOptions().sharing == "shared"


def test_a_given_key_replaces_that_of_the_preset_alone() -> None:
    options = LanguageModelOptions.model_validate(
        {
            "preset": "published",
            "base_model": "deberta",
            "sharing": "shared",
            "contrastive": {"temperature": 0.1},
        }
    )
    assert options.sharing == "shared"
    assert (options.contrastive.temperature, options.contrastive.learning_rate) == (0.1, 1e-5)


def test_the_published_preset_asks_for_its_model() -> None:
    with pytest.raises(ValidationError, match="needs `base_model`, the folder of DeBERTa-v3-base"):
        LanguageModelOptions.model_validate({"preset": "published"})


def test_a_folder_that_lacks_something_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match=r"is not a folder; place config\.json"):
        check_base_model(tmp_path / "absent")
    with pytest.raises(BaseModelError, match=r"has no config\.json"):
        check_base_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(BaseModelError, match="pickled weights are never loaded"):
        check_base_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(BaseModelError, match="type 'bert'"):
        check_base_model(tmp_path)


def test_a_training_without_its_pretrained_model_ends_before_it_begins(tmp_path: Path) -> None:
    options = LanguageModelOptions.model_validate({"base_model": tmp_path / "absent"})
    with pytest.raises(BaseModelError, match="is not a folder"):
        fit_language_model(pl.DataFrame(), options, tmp_path / "model")
    assert not (tmp_path / "model").exists()
