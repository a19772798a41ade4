"""Registered encoders: found offline where they were placed, pinned, and run with consent only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from learn_assets.embedding import hub_cache
from learn_assets.embedding.encoders import (
    EncoderUnavailableError,
    MissingModelError,
    RemoteCodeError,
    find_encoder,
)
from learn_assets.embedding.registry import REGISTRY, HubWeights
from learn_assets.study import KINDS, EncoderChoice
from learn_assets_tests.embedding.model_folders import QWEN3_600M, write_model

QWEN = "qwen3-embedding-0.6b"
NV_EMBED = "nv-embed-v2"
OTHER = "0" * 40


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of huggingface_hub."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def pinned(encoder_id: str, revision: str | None = None) -> HubWeights:
    weights = REGISTRY[encoder_id].weights
    assert isinstance(weights, HubWeights)
    return HubWeights(weights.repository, revision or weights.revision)


def test_every_model_of_the_hub_is_pinned_to_a_commit() -> None:
    pins = [e.weights for e in REGISTRY.values() if isinstance(e.weights, HubWeights)]
    assert len(pins) == 4
    assert all(re.fullmatch(r"[0-9a-f]{40}", pin.revision) for pin in pins)
    assert len({pin.revision for pin in pins}) == len(pins)


def test_the_cache_is_where_huggingface_hub_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for variables in (
        {"HF_HUB_CACHE": "/a/b"},
        {"HF_HOME": "/c"},
        {"XDG_CACHE_HOME": "/d"},
        {"HUGGINGFACE_HUB_CACHE": "/e", "HF_HOME": "/c"},
        {"HF_HUB_CACHE": "/a", "HUGGINGFACE_HUB_CACHE": "/e"},
    ):
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        code = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
        command = [sys.executable, "-c", code]
        theirs = subprocess.run(command, capture_output=True, text=True, check=True)
        assert Path(theirs.stdout.strip()) == hub_cache.cache_folder()


def test_an_absent_model_names_the_place_and_the_command(cache: Path) -> None:
    with pytest.raises(MissingModelError) as caught:
        find_encoder(EncoderChoice(id=QWEN))
    pin = pinned(QWEN)
    text = str(caught.value)
    assert f"hf download {pin.repository} --revision {pin.revision} --local-dir" in text
    assert str(cache / "models--Qwen--Qwen3-Embedding-0.6B" / "snapshots" / pin.revision) in text


def test_a_model_in_the_cache_or_in_a_folder_is_the_same_encoder(tmp_path: Path) -> None:
    write_model(hub_cache.snapshot_folder(pinned(QWEN)))
    cached = find_encoder(EncoderChoice(id=QWEN))
    placed = find_encoder(EncoderChoice(id=QWEN, path=write_model(tmp_path / "placed")))
    assert placed.space == cached.space
    assert (cached.dimension, cached.token_limit) == (1_024, 8_192)
    assert (cached.pooling, cached.normalized, cached.license) == ("last_token", True, "Apache-2.0")


def test_one_model_may_stand_in_a_study_under_several_ids() -> None:
    write_model(hub_cache.snapshot_folder(pinned(QWEN)))
    first, second = (
        find_encoder(EncoderChoice(id=name, model=QWEN, mode=mode))
        for name, mode in (("plain", "neutral"), ("asked", "task"))
    )
    assert first == second


def test_another_commit_is_looked_for_under_its_own_name() -> None:
    write_model(hub_cache.snapshot_folder(pinned(QWEN, OTHER)))
    assert find_encoder(EncoderChoice(id=QWEN, revision=OTHER)).dimension == 1_024
    with pytest.raises(MissingModelError, match=pinned(QWEN).revision):
        find_encoder(EncoderChoice(id=QWEN))


def test_a_folder_downloaded_at_another_commit_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "placed")
    record = folder / ".cache" / "huggingface" / "download" / "config.json.metadata"
    record.parent.mkdir(parents=True)
    record.write_text(f"{OTHER}\netag\n0.0\n")
    with pytest.raises(MissingModelError, match=f"revision: {OTHER}"):
        find_encoder(EncoderChoice(id=QWEN, path=folder))
    assert find_encoder(EncoderChoice(id=QWEN, path=folder, revision=OTHER)).id == QWEN


def test_another_model_in_the_folder_is_noticed(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "placed", {**QWEN3_600M, "hidden_size": 2_560})
    with pytest.raises(MissingModelError, match="2560 numbers"):
        find_encoder(EncoderChoice(id=QWEN, path=folder))


def test_a_missing_shard_is_noticed(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "placed")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(MissingModelError, match=r"1 of the weight files.*model-00002"):
        find_encoder(EncoderChoice(id=QWEN, path=folder))


def test_qwen3_prompt_is_spelled_as_in_its_model_card() -> None:
    write_model(hub_cache.snapshot_folder(pinned(QWEN)))
    encoder = find_encoder(EncoderChoice(id=QWEN))
    prompts = {kind: encoder.prompt(kind, task_instruction=True) for kind in KINDS}
    assert all(p.startswith("Instruct: ") and p.endswith("\nQuery:") for p in prompts.values())
    assert len(set(prompts.values())) == len(KINDS)


def test_code_of_a_model_runs_only_with_consent(tmp_path: Path) -> None:
    config = {**QWEN3_600M, "hidden_size": 4_096, "auto_map": {"AutoModel": "modeling.Model"}}
    folder = write_model(tmp_path / "placed", config)
    for encoder_id in (NV_EMBED, "mine"):
        with pytest.raises(RemoteCodeError, match="trust_remote_code: true"):
            find_encoder(EncoderChoice(id=encoder_id, path=folder))
        trusted = EncoderChoice(id=encoder_id, path=folder, trust_remote_code=True)
        encoder = find_encoder(trusted)
        assert (encoder.remote_code, encoder.pooling) == (True, "modules")
        (folder / "modeling.py").write_text("# changed\n")
        assert find_encoder(trusted).space != encoder.space
        (folder / "modeling.py").unlink()
    assert REGISTRY[NV_EMBED].license.startswith("CC-BY-NC-4.0")


def test_a_served_model_needs_its_tokenizer_here_but_not_its_weights() -> None:
    server = {"base_url": "http://127.0.0.1:8000/v1", "model": "m", "dtype": "float16"}
    document = {"id": QWEN, "backend": "openai_server", "server": server}
    choice = EncoderChoice.model_validate(document)
    with pytest.raises(MissingModelError, match=r"--exclude '\*\.safetensors'"):
        find_encoder(choice)
    folder = write_model(hub_cache.snapshot_folder(pinned(QWEN)))
    (folder / "model.safetensors").unlink()
    assert find_encoder(choice).prompt_template.endswith("Query:")
    with pytest.raises(MissingModelError, match="safetensors"):
        find_encoder(EncoderChoice(id=QWEN))


def test_a_token_limit_may_be_lowered_but_not_raised_beyond_the_model(tmp_path: Path) -> None:
    usual = find_encoder(EncoderChoice(id="minilm"))
    short = find_encoder(EncoderChoice(id="minilm", token_limit=128))
    assert (short.token_limit, short.space == usual.space) == (128, False)
    write_model(hub_cache.snapshot_folder(pinned(QWEN)))
    assert find_encoder(EncoderChoice(id=QWEN, token_limit=32_768)).token_limit == 32_768
    for encoder_id, limit in ((QWEN, 32_769), ("minilm", 513)):
        with pytest.raises(EncoderUnavailableError, match="more than"):
            find_encoder(EncoderChoice(id=encoder_id, token_limit=limit))


def test_a_folder_of_the_users_own_has_no_commit(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "placed")
    with pytest.raises(EncoderUnavailableError, match="`revision` pins"):
        find_encoder(EncoderChoice(id="mine", path=folder, revision=OTHER))


def test_the_space_of_minilm_is_the_one_that_stores_hold_already() -> None:
    encoder = find_encoder(EncoderChoice(id="minilm"), dtype="float32")
    assert encoder.space == "a8a69c4b174489837c9a5f37a944112d3b8a14f148f79d05595e0f87be32fc3b"
