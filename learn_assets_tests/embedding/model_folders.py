"""Model folders written by hand: the configuration of a published model around a few numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from learn_assets.embedding.encoders import find_encoder
from learn_assets.study import EncoderChoice

QWEN3_600M: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "head_dim": 128,
    "hidden_size": 1_024,
    "intermediate_size": 3_072,
    "max_position_embeddings": 32_768,
    "model_type": "qwen3",
    "num_attention_heads": 16,
    "num_hidden_layers": 28,
    "num_key_value_heads": 8,
    "torch_dtype": "bfloat16",
    "vocab_size": 151_669,
}
_MODULES = ("Transformer", "Pooling", "Normalize")


def write_model(folder: Path, config: dict[str, Any] = QWEN3_600M) -> Path:
    """Write a last-token model of this configuration; its weights are one small tensor."""
    pooling = folder / "1_Pooling"
    pooling.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    minilm = find_encoder(EncoderChoice(id="minilm"))
    shutil.copyfile(minilm.folder / "tokenizer.json", folder / "tokenizer.json")
    save_file({"weight": np.ones((2, 3), dtype=np.float32)}, folder / "model.safetensors")
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [{"type": f"sentence_transformers.models.{n}", "path": paths[n]} for n in _MODULES]
    (folder / "modules.json").write_text(json.dumps(modules))
    size = {"word_embedding_dimension": config["hidden_size"], "pooling_mode_lasttoken": True}
    (pooling / "config.json").write_text(json.dumps(size))
    return folder
