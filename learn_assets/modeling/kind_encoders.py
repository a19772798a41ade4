"""Kind encoders: fitted maps from the vectors of a kind to a short code, as plain dense layers.

What belongs here: the one form in which every fitted representation (PCA, PLS, autoencoder,
contrastive) is applied and stored. How each is fitted lives in a file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from learn_assets.modeling.arrays import FloatMatrix
from learn_assets.modeling.features import Block, EmbeddingBlock, FeatureBlocks

# Hidden activations of so many patients at a time, so that a large site fits into memory.
_ROWS_AT_A_TIME = 4096


@dataclass(frozen=True)
class DenseLayer:
    """weight float32 (inputs, outputs) and bias float32 (outputs,)."""

    weight: FloatMatrix
    bias: FloatMatrix


@dataclass(frozen=True)
class KindEncoder:
    """Dense layers, ReLU between them, that turn a vector of one kind into a code.

    fill: mean code of the training patients who have the kind, given to those who lack it.
    """

    kind: str
    layers: tuple[DenseLayer, ...]
    fill: FloatMatrix

    @property
    def dimensions(self) -> int:
        """Length of a code."""
        return len(self.fill)

    def codes(self, block: EmbeddingBlock) -> FloatMatrix:
        """Return the codes of a kind's vectors, float32 (patients, dimensions)."""
        codes = np.empty((len(block.vectors), self.dimensions), dtype=np.float32)
        for start in range(0, len(codes), _ROWS_AT_A_TIME):
            rows = slice(start, start + _ROWS_AT_A_TIME)
            codes[rows] = forward(self.layers, block.vectors[rows])
        codes[block.missing] = self.fill
        return codes


@dataclass(frozen=True)
class Representation:
    """One encoder a kind; `block` is where the codes stand among the features."""

    block: Block
    encoders: tuple[KindEncoder, ...]

    def codes(self, blocks: FeatureBlocks) -> tuple[FloatMatrix, ...]:
        """Return the codes of each kind, in the order of the encoders."""
        of_kind = {block.kind: block for block in blocks.embeddings}
        return tuple(encoder.codes(of_kind[encoder.kind]) for encoder in self.encoders)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return everything fitted under names that `representation_of` reads."""
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        for encoder in self.encoders:
            place = f"{self.block}.{encoder.kind}"
            arrays[f"{place}.fill"] = encoder.fill
            for depth, layer in enumerate(encoder.layers):
                arrays[f"{place}.{depth}.weight"] = layer.weight
                arrays[f"{place}.{depth}.bias"] = layer.bias
        return arrays

    def depths(self) -> list[list[Any]]:
        """Return kind and number of layers of each encoder, as JSON can hold them."""
        return [[encoder.kind, len(encoder.layers)] for encoder in self.encoders]


def representation_of(
    block: Block, depths: list[list[Any]], arrays: Mapping[str, npt.NDArray[Any]]
) -> Representation:
    """Return the representation that `Representation.arrays` and `depths` describe."""
    encoders = []
    for kind, depth in depths:
        place = f"{block}.{kind}"
        layers = tuple(
            DenseLayer(arrays[f"{place}.{number}.weight"], arrays[f"{place}.{number}.bias"])
            for number in range(int(depth))
        )
        encoders.append(KindEncoder(str(kind), layers, arrays[f"{place}.fill"]))
    return Representation(block, tuple(encoders))


def encoder_of(layers: tuple[DenseLayer, ...], training: EmbeddingBlock) -> KindEncoder:
    """Return layers as an encoder, its fill taken from the training patients who have the kind."""
    zero = np.zeros(layers[-1].weight.shape[1], dtype=np.float32)
    encoder = KindEncoder(training.kind, layers, zero)
    present = encoder.codes(training)[~training.missing]
    if not len(present):
        return encoder
    return KindEncoder(training.kind, layers, present.mean(axis=0, dtype=np.float64).astype("f4"))


def forward(layers: tuple[DenseLayer, ...], rows: FloatMatrix) -> FloatMatrix:
    """Return what the last layer gives for rows of vectors."""
    for layer in layers[:-1]:
        rows = np.maximum(rows @ layer.weight + layer.bias, 0.0)
    return np.asarray(rows @ layers[-1].weight + layers[-1].bias, dtype=np.float32)
