"""Architecture: DeBERTa-v3 from a local folder, or a small one of the same make without weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learn_assets.embedding.backends.torch_runtime import prepare_torch
from learn_assets.study.language_model import PRETRAINED_FILES
from learn_assets.subtypes.language.tokens import TOKENIZER_FILE, SpecialTokens

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_MODEL_TYPE = "deberta-v2"  # transformers' name of the code that version 3 shares
_HIDDEN, _LAYERS, _HEADS = 64, 2, 2


class BaseModelError(FileNotFoundError):
    """The folder of a pretrained model cannot be used; says what to place where."""


def training_device(*, pretrained: bool) -> torch.device:
    """Return the device of a training; a small model is slower on a GPU than on a processor."""
    return prepare_torch(None if pretrained else "cpu")


@contextmanager
def one_thread(*, wanted: bool) -> Iterator[None]:
    """Let torch compute on one thread when wanted: a small model is then the same everywhere."""
    import torch

    before = torch.get_num_threads()
    if wanted:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_base_model(folder: Path) -> None:
    """Raise BaseModelError unless a folder holds a DeBERTa-v3 model that can be read safely."""
    remedy = (
        f"place {PRETRAINED_FILES} of DeBERTa-v3 there: load the published model once elsewhere "
        "with transformers (DebertaV2ForMaskedLM, DebertaV2Tokenizer) and call "
        "save_pretrained(folder) on both"
    )
    if not folder.is_dir():
        raise BaseModelError(f"`base_model`: {folder} is not a folder; {remedy}")
    for name in ("config.json", TOKENIZER_FILE):
        if not (folder / name).is_file():
            raise BaseModelError(f"`base_model`: {folder} has no {name}; {remedy}")
    if not any(folder.glob("*.safetensors")):
        raise BaseModelError(
            f"`base_model`: {folder} has no *.safetensors, and pickled weights are never loaded; "
            f"{remedy}"
        )
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind != _MODEL_TYPE:
        raise BaseModelError(
            f"`base_model`: {folder} holds a model of type {kind!r}, not {_MODEL_TYPE}; {remedy}"
        )


def new_model(special: SpecialTokens, seed: int) -> nn.Module:
    """Return a small DeBERTa-v3 for masked-language-model training with weights from the seed."""
    import torch
    from transformers import DebertaV2Config, DebertaV2ForMaskedLM

    config = DebertaV2Config(
        vocab_size=special.vocabulary,
        hidden_size=_HIDDEN,
        num_hidden_layers=_LAYERS,
        num_attention_heads=_HEADS,
        intermediate_size=2 * _HIDDEN,
        max_position_embeddings=512,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        position_buckets=32,
        max_relative_positions=-1,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        position_biased_input=False,
        type_vocab_size=0,
        pad_token_id=special.padding,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = DebertaV2ForMaskedLM(config)
    return model


def pretrained_model(folder: Path, seed: int) -> nn.Module:
    """Return DeBERTa-v3 of a folder; its head, which the folder may lack, starts from the seed."""
    import torch
    from transformers import DebertaV2ForMaskedLM

    check_base_model(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = DebertaV2ForMaskedLM.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
    return model


def configured_model(configuration: dict[str, Any]) -> nn.Module:
    """Return a model of a configuration, its parameters still to be loaded."""
    from transformers import DebertaV2Config, DebertaV2ForMaskedLM

    model: nn.Module = DebertaV2ForMaskedLM(DebertaV2Config(**configuration))
    return model


def configuration_of(model: nn.Module) -> dict[str, Any]:
    """Return what `configured_model` needs to make a model of the same make."""
    from transformers import PretrainedConfig

    config = getattr(model, "config", None)
    if not isinstance(config, PretrainedConfig):
        raise TypeError("the model has no configuration of transformers")
    content: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return content


def hidden_states(model: nn.Module, ids: Tensor, attention: Tensor) -> Tensor:
    """Return the last hidden states (n, tokens, hidden); token types take no part."""
    states: Tensor = model.deberta(input_ids=ids, attention_mask=attention).last_hidden_state
    return states


def token_scores(model: nn.Module, states: Tensor) -> Tensor:
    """Return the scores of the vocabulary (tokens, vocabulary) for hidden states."""
    if hasattr(model, "cls"):
        scores: Tensor = model.cls(states)
    else:
        scores = model.lm_predictions(states, model.deberta.embeddings.word_embeddings)
    return scores
