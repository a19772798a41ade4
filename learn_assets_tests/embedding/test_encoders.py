"""Encoders: found offline, described by their files, and clear about what is missing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from learn_assets.embedding.encoders import (
    Encoder,
    MissingModelError,
    UnknownEncoderError,
    find_encoder,
)
from learn_assets.study import KINDS, EncoderChoice


@pytest.fixture
def folder(tmp_path: Path, minilm: Encoder) -> Path:
    """A copy of the packaged model whose configuration a test may change."""
    copy = tmp_path / "model"
    shutil.copytree(minilm.folder, copy)
    return copy


def find(folder: Path) -> Encoder:
    return find_encoder(EncoderChoice(id="mine", path=folder))


def test_minilm_comes_with_its_package(minilm: Encoder) -> None:
    assert (minilm.dimension, minilm.token_limit) == (384, 256)
    assert (minilm.pooling, minilm.normalized) == ("mean", True)
    assert minilm.license == "Apache-2.0"


def test_a_folder_is_described_by_its_own_files(folder: Path, minilm: Encoder) -> None:
    encoder = find(folder)
    expected = replace(
        minilm, id="mine", folder=folder, dtype="float32", license="as stated by the model"
    )
    assert encoder == expected


def test_unknown_id_lists_the_known_ones() -> None:
    with pytest.raises(UnknownEncoderError, match=r"minilm.*path"):
        find_encoder(EncoderChoice(id="nothing"))


def test_missing_folder_says_what_to_place_there(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"absent.*tokenizer\.json"):
        find(tmp_path / "absent")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_incomplete_folder_names_the_missing_file(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(MissingModelError, match=file.removeprefix("model")):
        find(folder)


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "1_Pooling/config.json"])
def test_changed_content_is_another_revision(folder: Path, file: str) -> None:
    before = find(folder)
    with (folder / file).open("ab") as handle:
        handle.write(b"\n")
    after = find(folder)
    assert after.revision != before.revision
    assert after.space != before.space


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode": "cls", "embedding_dimension": 384}, "cls"),
        ({"pooling_mode_lasttoken": True, "word_embedding_dimension": 384}, "last_token"),
        ({"pooling_mode_max_tokens": True, "word_embedding_dimension": 384}, "modules"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "modules"),
    ],
)
def test_pooling_is_read_in_old_and_new_spelling(
    folder: Path, pooling: dict[str, object], expected: str
) -> None:
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    assert find(folder).pooling == expected


def test_prompt_is_empty_unless_asked_for(minilm: Encoder) -> None:
    prompts = {kind: minilm.prompt(kind, task_instruction=True) for kind in KINDS}
    assert len(set(prompts.values())) == len(KINDS)
    assert all(p.endswith(f"\n{kind.capitalize()} history: ") for kind, p in prompts.items())
    assert minilm.prompt("diagnosis", task_instruction=False) == ""
    with pytest.raises(ValueError, match="no instruction"):
        minilm.prompt("imaging", task_instruction=True)


def test_space_depends_on_everything_that_decides_a_vector(minilm: Encoder) -> None:
    variants = [
        replace(minilm, id="other"),
        replace(minilm, revision="other"),
        replace(minilm, dtype="float32" if minilm.dtype == "bfloat16" else "bfloat16"),
        replace(minilm, pooling="cls"),
        replace(minilm, normalized=False),
        replace(minilm, token_limit=128),
    ]
    assert len({encoder.space for encoder in [minilm, *variants]}) == len(variants) + 1
    assert replace(minilm, folder=Path("elsewhere")).space == minilm.space
