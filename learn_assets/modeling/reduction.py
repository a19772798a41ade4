"""Reduction: linear maps of a kind's vectors to few dimensions, PCA without and PLS with labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from learn_assets.modeling.arrays import FloatMatrix, Labels
from learn_assets.modeling.features import EmbeddingBlock
from learn_assets.modeling.kind_encoders import DenseLayer

_NOTHING_LEFT = 1e-9


def principal_components(block: EmbeddingBlock, dimensions: int, seed: int) -> DenseLayer:
    """Return the map to the leading principal components of the patients who have the kind.

    Fewer dimensions when there are fewer patients or columns, one of zeros below two patients.
    Method: randomized singular value decomposition (Halko et al. 2011), signs fixed.
    """
    from sklearn.utils.extmath import randomized_svd

    centered, center = _centered(block.vectors[~block.missing])
    if len(centered) < 2:
        return _projection(np.zeros((block.dimensions, 1)), np.zeros(block.dimensions))
    kept = max(1, min(dimensions, len(centered) - 1, centered.shape[1]))
    _, _, axes = randomized_svd(centered, kept, n_iter=4, random_state=seed)
    return _projection(np.asarray(axes.T, dtype=np.float64), center)


def partial_least_squares(block: EmbeddingBlock, labels: Labels, dimensions: int) -> DenseLayer:
    """Return the map to the PLS components of the label; its scores have mean 0 and variance 1.

    labels: 1 case, 0 control, -1 unknown (not learned from). ValueError when patients with the kind
    are all cases or all controls. Method: SIMPLS (de Jong 1993), for one label the same as PLS1.
    """
    known = ~block.missing & (labels >= 0)
    target = labels[known].astype(np.float64)
    if not len(target) or target.min() == target.max():
        raise ValueError(f"PLS of {block.kind} vectors needs cases and controls who have them")
    centered, center = _centered(block.vectors[known])
    cross = centered.T @ (target - target.mean()).astype(np.float32)
    residual = cross.astype(np.float64)
    first = float(np.linalg.norm(residual))
    weights: list[npt.NDArray[np.float64]] = []
    basis = np.zeros((len(residual), 0))
    for _ in range(max(1, min(dimensions, len(centered) - 1, centered.shape[1]))):
        scores = (centered @ residual.astype(np.float32)).astype(np.float64)
        length = float(np.linalg.norm(scores))
        exhausted = np.linalg.norm(residual) <= _NOTHING_LEFT * first or length == 0.0
        if weights and exhausted:
            break
        length = length or 1.0
        loading = (centered.T @ (scores / length).astype(np.float32)).astype(np.float64)
        # Twice, because float32 products leave the first pass short of orthogonal.
        for _ in range(2):
            loading -= basis @ (basis.T @ loading)
        direction = loading / (np.linalg.norm(loading) or 1.0)
        basis = np.column_stack([basis, direction])
        weights.append(residual / length * np.sqrt(len(centered)))
        residual = residual - basis @ (basis.T @ residual)
    return _projection(np.column_stack(weights), center)


def _centered(vectors: FloatMatrix) -> tuple[FloatMatrix, npt.NDArray[np.float64]]:
    center = vectors.mean(axis=0, dtype=np.float64)
    return vectors - center.astype(np.float32), center


def _projection(weights: npt.NDArray[np.float64], center: npt.NDArray[np.float64]) -> DenseLayer:
    return DenseLayer(weights.astype(np.float32), (-center @ weights).astype(np.float32))
