"""Cross-fitting: codes of training patients from encoders that never saw their labels.

A representation fitted with labels separates the patients it was fitted on far better than any new
one. A learner trained on such codes would trust them too much, and so would its calibration.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from learn_assets.modeling.arrays import FloatMatrix, IndexVector, Labels
from learn_assets.modeling.features import FeatureBlocks
from learn_assets.modeling.kind_encoders import Representation

_INNER_FOLDS = 3

Fit = Callable[[FeatureBlocks, Labels], Representation]


def cross_fitted_codes(
    fit: Fit, whole: Representation, training: FeatureBlocks, labels: Labels, seed: int
) -> tuple[FloatMatrix, ...]:
    """Return the codes of each kind of the training patients, each made without its own label.

    Each inner fold is encoded by a representation of the other folds, turned into the coordinates
    of `whole` by the rotation that fits best on those other folds (orthogonal Procrustes,
    Schönemann 1966). Codes of `whole` when a class is too small for inner folds.
    """
    codes = tuple(code.copy() for code in whole.codes(training))
    target = tuple(code.copy() for code in codes)
    missing = {block.kind: block.missing for block in training.embeddings}
    for learned, held_out in _folds(labels, seed):
        part = fit(training.rows(learned), labels[learned])
        seen, unseen = part.codes(training.rows(learned)), part.codes(training.rows(held_out))
        for number, encoder in enumerate(whole.encoders):
            there = ~missing[encoder.kind]
            turn = _rotation(seen[number], target[number][learned], there[learned])
            mine = held_out[there[held_out]]
            codes[number][mine] = turn(unseen[number][there[held_out]])
    return codes


def _folds(labels: Labels, seed: int) -> list[tuple[IndexVector, IndexVector]]:
    from sklearn.model_selection import StratifiedKFold

    smallest = min(int((labels == value).sum()) for value in (0, 1))
    if smallest < _INNER_FOLDS:
        return []
    # Patients without a label are dealt over the folds at random, beside the others.
    unknown = np.flatnonzero(labels < 0)
    strata = labels.astype(np.int64)
    strata[unknown] = 2 if len(unknown) >= _INNER_FOLDS else 0
    splitter = StratifiedKFold(_INNER_FOLDS, shuffle=True, random_state=seed)
    return [
        (learned.astype(np.int64), held_out.astype(np.int64))
        for learned, held_out in splitter.split(np.zeros(len(labels)), strata)
    ]


def _rotation(
    source: FloatMatrix, target: FloatMatrix, there: npt.NDArray[np.bool_]
) -> Callable[[FloatMatrix], FloatMatrix]:
    """Return the turn and shift that bring `source` closest to `target` on the rows `there`."""
    own, wanted = source[there].astype(np.float64), target[there].astype(np.float64)
    width = wanted.shape[1]
    if not len(own):
        return lambda rows: _padded(rows, width)
    own_middle, wanted_middle = own.mean(axis=0), wanted.mean(axis=0)
    left, _, right = np.linalg.svd(
        (own - own_middle).T @ (wanted - wanted_middle), full_matrices=False
    )
    turn = left @ right
    return lambda rows: np.asarray((rows - own_middle) @ turn + wanted_middle, dtype=np.float32)


def _padded(rows: FloatMatrix, width: int) -> FloatMatrix:
    padded = np.zeros((len(rows), width), dtype=np.float32)
    padded[:, : min(width, rows.shape[1])] = rows[:, :width]
    return padded
