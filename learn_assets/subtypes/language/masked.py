"""Masked-language-model training: hidden tokens of an admission are guessed from the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from learn_assets.subtypes.language.architecture import hidden_states, token_scores
from learn_assets.subtypes.language.tokens import (
    Batch,
    Diagnoses,
    SpecialTokens,
    length_of,
    padded,
)
from learn_assets.subtypes.language.training import Rows

if TYPE_CHECKING:
    from torch import Tensor, nn

# Devlin et al. 2019: of the tokens to guess most are masked, some swapped, some left.
_MASKED, _SWAPPED = 0.8, 0.1
_HELD_OUT = 3
_EVALUATION_BATCH = 64


def mask_tokens(
    batch: Batch, special: SpecialTokens, share: float, generator: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return ids with some hidden, and which are to be guessed, both (n, longest).

    Each token of a diagnosis is to be guessed with chance `share`; at least one of the batch is. Of
    those 80 % become [MASK], 10 % any other token of the vocabulary and 10 % stay.
    """
    chosen = batch.words & (generator.random(batch.ids.shape) < share)
    if not chosen.any():
        candidates = np.argwhere(batch.words)
        chosen[tuple(candidates[generator.integers(len(candidates))])] = True
    fate = generator.random(batch.ids.shape)
    words = np.setdiff1d(np.arange(special.vocabulary), special.ids)
    swapped = generator.choice(words, size=batch.ids.shape)
    ids = np.where(chosen & (fate < _MASKED), special.mask, batch.ids)
    swap = chosen & (fate >= _MASKED) & (fate < _MASKED + _SWAPPED)
    return np.where(swap, swapped, ids), chosen


@dataclass(frozen=True)
class MaskedObjective:
    """Cross-entropy of the hidden tokens, mean over them."""

    module: nn.Module
    special: SpecialTokens
    training: Sequence[Diagnoses]
    held_out: Sequence[Diagnoses]
    share: float
    seed: int

    @property
    def lengths(self) -> Rows:
        """Tokens of each admission that is learned from."""
        return np.array([length_of(diagnoses) for diagnoses in self.training], dtype=np.int64)

    def loss(self, rows: Rows, generator: np.random.Generator) -> Tensor:
        """Return the mean cross-entropy of the hidden tokens of some admissions."""
        total, count = self._summed([self.training[row] for row in rows], generator)
        return total / count

    def held_out_loss(self) -> float:
        """Return the mean cross-entropy over all held-out admissions, always the same hidden."""
        import torch

        generator = np.random.default_rng([self.seed, _HELD_OUT])
        self.module.eval()
        sums, counts = [], []
        # Sorted, as little padding is computed; every admission counts whatever its batch.
        admissions = sorted(self.held_out, key=length_of)
        with torch.inference_mode():
            for start in range(0, len(admissions), _EVALUATION_BATCH):
                total, count = self._summed(
                    admissions[start : start + _EVALUATION_BATCH], generator
                )
                sums.append(float(total))
                counts.append(count)
        return sum(sums) / sum(counts)

    def _summed(
        self, admissions: Sequence[Diagnoses], generator: np.random.Generator
    ) -> tuple[Tensor, int]:
        import torch

        batch = padded(admissions, self.special)
        ids, chosen = mask_tokens(batch, self.special, self.share, generator)
        device = next(self.module.parameters()).device
        hidden = torch.from_numpy(chosen).to(device)
        states = hidden_states(
            self.module,
            torch.from_numpy(ids).to(device),
            torch.from_numpy(batch.attention).to(device),
        )
        # The head runs on hidden tokens alone: scores of all others would be thrown away.
        scores = token_scores(self.module, states[hidden])
        wanted = torch.from_numpy(batch.ids).to(device)[hidden]
        total = torch.nn.functional.cross_entropy(scores.float(), wanted, reduction="sum")
        return total, int(chosen.sum())
