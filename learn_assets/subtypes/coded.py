"""Coded admissions: diagnoses as arrays, and their permutation between admissions (the null)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

IndexVector = npt.NDArray[np.int64]

_REPAIR_ROUNDS = 200


@dataclass(frozen=True)
class CodedAdmissions:
    """Diagnoses of n admissions as positions in one sorted vocabulary.

    `positions` lists the codes of all admissions one after the other, principal diagnosis first;
    those of admission i are `positions[starts[i]:starts[i + 1]]` (`starts` has n + 1 entries).
    """

    codes: tuple[str, ...]
    starts: IndexVector
    positions: IndexVector

    @classmethod
    def of(
        cls, diagnoses: Iterable[Sequence[str]], codes: Sequence[str] | None = None
    ) -> CodedAdmissions:
        """Return admissions coded in `codes`, by default the sorted codes that occur.

        ValueError when an admission has no diagnosis or a code is not in `codes`; counts only.
        """
        listed = [list(dict.fromkeys(row)) for row in diagnoses]
        if empty := sum(not row for row in listed):
            raise ValueError(f"{empty} admissions have no diagnosis; leave them out first")
        known = tuple(sorted({code for row in listed for code in row} if codes is None else codes))
        place = {code: position for position, code in enumerate(known)}
        if unknown := {code for row in listed for code in row} - place.keys():
            raise ValueError(f"{len(unknown)} codes are not in the vocabulary that was given")
        starts = np.cumsum([0, *map(len, listed)], dtype=np.int64)
        positions = np.array([place[code] for row in listed for code in row], dtype=np.int64)
        return cls(known, starts, positions)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> IndexVector:
        """Return the number of diagnoses of each admission."""
        return np.diff(self.starts)

    @property
    def admissions(self) -> IndexVector:
        """Return the admission to which each entry of `positions` belongs."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def is_principal(self) -> npt.NDArray[np.bool_]:
        """Return which entries of `positions` are principal diagnoses."""
        principal = np.zeros(len(self.positions), dtype=bool)
        principal[self.starts[:-1]] = True
        return principal

    def matrix(self, weights: npt.NDArray[np.floating] | None = None) -> Any:
        """Return a sparse matrix (n, codes) of 1 where a code is present, or of entry weights."""
        from scipy.sparse import csr_matrix

        values = np.ones(len(self.positions)) if weights is None else weights
        shape = (len(self), len(self.codes))
        return csr_matrix((values, self.positions, self.starts), shape=shape)

    def take(self, rows: npt.NDArray[np.integer]) -> CodedAdmissions:
        """Return some admissions, in the order of `rows`, in the same vocabulary."""
        lengths = self.lengths[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        offsets = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
        return CodedAdmissions(
            self.codes, starts, self.positions[np.repeat(self.starts[rows], lengths) + offsets]
        )

    def lists(self) -> list[list[str]]:
        """Return the codes of each admission, principal diagnosis first."""
        named = [self.codes[position] for position in self.positions]
        return [named[start:stop] for start, stop in pairwise(self.starts)]


def permuted(coded: CodedAdmissions, generator: np.random.Generator) -> CodedAdmissions:
    """Return admissions whose codes were dealt anew: no co-occurrence is left, all else is.

    Each admission keeps its number of diagnoses, each code its number of admissions as principal
    and as further diagnosis. Dealing may give an admission a code twice; such entries are swapped
    with random others until none is left, or no swap helps any more (then they stay).
    """
    positions = coded.positions.copy()
    principal = coded.is_principal
    for stratum in (np.flatnonzero(principal), np.flatnonzero(~principal)):
        positions[stratum] = generator.permutation(positions[stratum])
    _separate_repeats(coded, positions, np.flatnonzero(~principal), generator)
    return CodedAdmissions(coded.codes, coded.starts, positions)


def _separate_repeats(
    coded: CodedAdmissions,
    positions: IndexVector,
    movable: IndexVector,
    generator: np.random.Generator,
) -> None:
    admissions = coded.admissions
    for _ in range(_REPAIR_ROUNDS):
        repeated = _repeats(admissions, positions, len(coded.codes))
        if not len(repeated):
            return
        partners = generator.choice(movable, size=len(repeated))
        # One after the other: two repeats may have drawn the same partner.
        for entry, partner in zip(repeated, partners, strict=True):
            positions[[entry, partner]] = positions[[partner, entry]]


def _repeats(admissions: IndexVector, positions: IndexVector, codes: int) -> IndexVector:
    """Return entries whose code stands earlier in the same admission; never a principal one."""
    keys = admissions * codes + positions
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order][1:] == keys[order][:-1]) + 1
    return order[again]
