"""Views keep diagnoses whole; NT-Xent against a plain loop, equal texts left out of negatives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from learn_assets.study.language_model import ContrastiveOptions
from learn_assets.subtypes.language.contrastive import nt_xent, two_views

DIAGNOSES = tuple((number, number + 100) for number in range(8))


def options(**changes: object) -> ContrastiveOptions:
    return ContrastiveOptions.model_validate(changes)


def naive(first: np.ndarray, second: np.ndarray, keys: list[int], temperature: float) -> float:
    """NT-Xent as in the paper, one view at a time, without negatives of the same key."""
    views = [*zip(first, keys, strict=True), *zip(second, keys, strict=True)]
    count = len(first)

    def likeness(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) / temperature

    total = 0.0
    for i, (vector, key) in enumerate(views):
        partner = (i + count) % (2 * count)
        bottom = math.exp(likeness(vector, views[partner][0]))
        for j, (other, other_key) in enumerate(views):
            if j not in {i, partner} and other_key != key:
                bottom += math.exp(likeness(vector, other))
        total -= math.log(math.exp(likeness(vector, views[partner][0])) / bottom)
    return total / (2 * count)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize("keys", [[0, 1, 2, 3, 4], [0, 1, 0, 2, 0], [7, 7, 7, 7, 7]])
def test_nt_xent_is_that_of_a_plain_loop(keys: list[int], temperature: float) -> None:
    generator = np.random.default_rng(0)
    first, second = (generator.normal(size=(5, 6)).astype(np.float32) for _ in range(2))
    loss = nt_xent(torch.from_numpy(first), torch.from_numpy(second), np.array(keys), temperature)
    assert float(loss) == pytest.approx(naive(first, second, keys, temperature), rel=1e-4)
    swapped = nt_xent(
        torch.from_numpy(second), torch.from_numpy(first), np.array(keys), temperature
    )
    assert float(swapped) == pytest.approx(float(loss), rel=1e-5)


def test_an_equal_text_is_no_negative() -> None:
    vectors = torch.eye(3)[[0, 1, 0]]
    apart = nt_xent(vectors, vectors, np.array([0, 1, 2]), 0.1)
    alike = nt_xent(vectors, vectors, np.array([0, 1, 0]), 0.1)
    # Taken for negatives, the two equal admissions could never be told apart.
    assert float(apart) > 0.4
    assert float(alike) < 0.001


def test_independent_views_have_whole_diagnoses_and_the_principal_one_first() -> None:
    generator = np.random.default_rng(0)
    chosen = options(views="independent", keep_principal=True, drop_share=0.4)
    views = [view for _ in range(200) for view in two_views(DIAGNOSES, chosen, 256, generator)]
    for view in views:
        assert view[0] == DIAGNOSES[0]
        assert set(view) <= set(DIAGNOSES)
        assert len(set(view)) == len(view)
    assert np.mean([len(view) - 1 for view in views]) == pytest.approx(0.6 * 7, abs=0.3)
    assert len(set(views)) > 300
    still = chosen.model_copy(update={"reorder": False})
    for view in two_views(DIAGNOSES, still, 256, generator):
        assert list(view) == sorted(view)


def test_disjoint_views_share_no_diagnosis_and_lose_none() -> None:
    generator = np.random.default_rng(0)
    principal_in_first = 0
    for count in (2, 3, 8):
        for _ in range(100):
            first, second = two_views(DIAGNOSES[:count], options(), 256, generator)
            assert sorted((*first, *second)) == sorted(DIAGNOSES[:count])
            principal_in_first += DIAGNOSES[0] in first
    assert 100 < principal_in_first < 200
    lone = two_views(DIAGNOSES[:1], options(), 256, generator)
    assert lone == (DIAGNOSES[:1], DIAGNOSES[:1])


def test_a_view_always_has_a_diagnosis() -> None:
    generator = np.random.default_rng(0)
    hardly = options(views="independent", drop_share=0.9)
    views = [view for _ in range(100) for view in two_views(DIAGNOSES, hardly, 256, generator)]
    assert min(map(len, views)) == 1
    assert any(DIAGNOSES[0] not in view for view in views)
