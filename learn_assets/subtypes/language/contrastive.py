"""Contrastive training: two views of an admission, of whole diagnoses, shall lie close together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from learn_assets.study.language_model import ContrastiveOptions
from learn_assets.subtypes.language.architecture import hidden_states
from learn_assets.subtypes.language.tokens import (
    Diagnoses,
    SpecialTokens,
    fitted,
    length_of,
    padded,
)
from learn_assets.subtypes.language.training import Rows

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_HELD_OUT = 4


def two_views(
    diagnoses: Diagnoses, options: ContrastiveOptions, limit: int, generator: np.random.Generator
) -> tuple[Diagnoses, Diagnoses]:
    """Return two views: some whole diagnoses each, in any order, none broken apart.

    `disjoint`: a diagnosis is in one view or the other; `independent`: each view leaves out
    `drop_share` of them. With `keep_principal` both begin with the principal diagnosis; else it is
    one like the others. A view has at least one diagnosis, a lone one is in both.
    """
    fixed, free = (diagnoses[:1], diagnoses[1:]) if options.keep_principal else ((), diagnoses)
    views = []
    for kept in _kept(len(free), options, generator):
        places = kept
        if not fixed and not len(kept):
            places = generator.integers(len(free), size=1)
        if options.reorder:
            places = generator.permutation(places)
        views.append(fitted((*fixed, *(free[place] for place in places)), limit))
    return views[0], views[1]


def _kept(count: int, options: ContrastiveOptions, generator: np.random.Generator) -> list[Rows]:
    """Return which of the free diagnoses each view keeps, in their order."""
    if options.views == "independent":
        return [np.flatnonzero(generator.random(count) >= options.drop_share) for _ in range(2)]
    # Half each; which view gets the odd one is drawn, too.
    order = generator.permutation(count)
    half = (count + int(generator.integers(2))) // 2
    return [np.sort(order[:half]), np.sort(order[half:])]


def nt_xent(
    first: Tensor, second: Tensor, keys: npt.NDArray[np.int64], temperature: float
) -> Tensor:
    """Return the symmetric NT-Xent loss (Chen et al. 2020) of two views (n, d) of n admissions.

    A view shall be told from the 2n - 1 others as the partner of its own; admissions with the same
    key have the same diagnoses, so their views are no negatives of each other.
    """
    import torch

    vectors = torch.nn.functional.normalize(torch.cat([first, second]).float(), dim=1)
    likeness = vectors @ vectors.T / temperature
    count = len(first)
    key = torch.from_numpy(np.concatenate([keys, keys])).to(likeness.device)
    partner = (torch.arange(2 * count, device=likeness.device) + count) % (2 * count)
    ignored = key[:, None] == key[None, :]
    ignored[torch.arange(2 * count, device=likeness.device), partner] = False
    return torch.nn.functional.cross_entropy(likeness.masked_fill(ignored, float("-inf")), partner)


def new_encoder(language_model: nn.Module, projection: int, seed: int) -> AdmissionEncoder:
    """Return a language model with a linear projection whose weights follow from the seed."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AdmissionEncoder.of(language_model, projection)


@dataclass(frozen=True)
class AdmissionEncoder:
    """The body of a language model, mean pooling over tokens of diagnoses, a linear projection."""

    module: nn.Module

    @classmethod
    def of(cls, language_model: nn.Module, projection: int) -> AdmissionEncoder:
        """Return an encoder on the body of a language model; its head takes no part."""
        from torch import nn

        hidden = int(language_model.config.hidden_size)
        parts = {"deberta": language_model.deberta, "projection": nn.Linear(hidden, projection)}
        return cls(nn.ModuleDict(parts))

    @property
    def device(self) -> torch.device:
        """Return where the encoder computes."""
        return next(self.module.parameters()).device

    def pooled(self, admissions: Sequence[Diagnoses], special: SpecialTokens) -> Tensor:
        """Return the mean over the tokens of all diagnoses (n, hidden)."""
        import torch

        batch = padded(admissions, special)
        states = hidden_states(
            self.module,
            torch.from_numpy(batch.ids).to(self.device),
            torch.from_numpy(batch.attention).to(self.device),
        )
        weights = torch.from_numpy(batch.words).to(self.device).unsqueeze(-1).float()
        return (states.float() * weights).sum(dim=1) / weights.sum(dim=1)

    def projected(self, admissions: Sequence[Diagnoses], special: SpecialTokens) -> Tensor:
        """Return the projection of the pooled vectors (n, projection)."""
        vectors: Tensor = self.module["projection"](self.pooled(admissions, special))
        return vectors


@dataclass(frozen=True)
class ContrastiveObjective:
    """NT-Xent of two views of each admission; keys (training, then held out) say who is alike."""

    encoder: AdmissionEncoder
    special: SpecialTokens
    training: Sequence[Diagnoses]
    held_out: Sequence[Diagnoses]
    training_keys: npt.NDArray[np.int64]
    held_out_keys: npt.NDArray[np.int64]
    options: ContrastiveOptions
    limit: int
    seed: int

    @property
    def module(self) -> nn.Module:
        """The module whose parameters are learned."""
        return self.encoder.module

    @property
    def lengths(self) -> Rows:
        """Tokens of each admission that is learned from."""
        return np.array([length_of(diagnoses) for diagnoses in self.training], dtype=np.int64)

    def loss(self, rows: Rows, generator: np.random.Generator) -> Tensor:
        """Return the loss of two views of some admissions."""
        return self._loss([self.training[row] for row in rows], self.training_keys[rows], generator)

    def held_out_loss(self) -> float:
        """Return the mean loss of held-out admissions, always the same views and batches."""
        import torch

        generator = np.random.default_rng([self.seed, _HELD_OUT])
        order = generator.permutation(len(self.held_out))
        size = self.options.batch
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        self.module.eval()
        losses = []
        with torch.inference_mode():
            for rows in batches:
                admissions = [self.held_out[row] for row in rows]
                losses.append(float(self._loss(admissions, self.held_out_keys[rows], generator)))
        return float(np.average(losses, weights=[len(rows) for rows in batches]))

    def _loss(
        self,
        admissions: Sequence[Diagnoses],
        keys: npt.NDArray[np.int64],
        generator: np.random.Generator,
    ) -> Tensor:
        pairs = [two_views(one, self.options, self.limit, generator) for one in admissions]
        sides = zip(*pairs, strict=True)
        first, second = (self.encoder.projected(side, self.special) for side in sides)
        return nt_xent(first, second, keys, self.options.temperature)
