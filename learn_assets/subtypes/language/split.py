"""Split: which admissions no training sees, by patient, and never a text on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def held_out_rows(
    keys: Sequence[str], patients: Sequence[str | None], share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Return which admissions are held out, about `share` of them and at least one.

    keys: `text_key` of each admission; patients: number of its patient, None when unknown.
    Admissions of one patient or with one key are on one side, and so is whatever that links. The
    order in which linked groups are taken follows from the seed and their keys, so it does not
    depend on the order of rows. ValueError when all admissions are linked.
    """
    groups = _linked(keys, patients)
    sizes = np.bincount(groups)
    wanted = max(1, round(share * len(groups)))
    held_out = np.zeros(len(sizes), dtype=bool)
    taken = 0
    for group in _drawn_order(groups, keys, seed):
        # A group of many admissions would leave too few to learn from.
        if taken + sizes[group] <= max(wanted, sizes.min()):
            held_out[group] = True
            taken += int(sizes[group])
        if taken >= wanted:
            break
    if len(sizes) < 2:
        raise ValueError(
            "all admissions are linked by patients or equal texts; none can be held out"
        )
    return np.asarray(held_out[groups], dtype=np.bool_)


def _linked(keys: Sequence[str], patients: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Return the number of the group of each admission, linked by key or patient."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    nodes: dict[tuple[str, str], int] = {}
    count = len(keys)
    edges = []
    for row, (key, patient) in enumerate(zip(keys, patients, strict=True)):
        names = [("key", key), *([("patient", patient)] if patient is not None else [])]
        edges += [(row, count + nodes.setdefault(name, len(nodes))) for name in names]
    pairs = np.array(edges, dtype=np.int64)
    size = count + len(nodes)
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    _, groups = connected_components(graph, directed=False)
    return np.unique(groups[:count], return_inverse=True)[1].astype(np.int64)


def _drawn_order(groups: npt.NDArray[np.int64], keys: Sequence[str], seed: int) -> list[int]:
    first: dict[int, str] = {}
    for group, key in zip(groups.tolist(), keys, strict=True):
        first[group] = min(first.get(group, key), key)
    drawn = {g: hashlib.sha256(f"{seed}:{key}".encode()).hexdigest() for g, key in first.items()}
    return sorted(drawn, key=drawn.__getitem__)
