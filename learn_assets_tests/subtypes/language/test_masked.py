"""Masks: how many tokens, which, what becomes of them; the loss against a plain computation."""

from __future__ import annotations

import numpy as np
import pytest

from learn_assets.subtypes.language.architecture import new_model
from learn_assets.subtypes.language.corpus import admissions_as_tokens
from learn_assets.subtypes.language.masked import MaskedObjective, mask_tokens
from learn_assets.subtypes.language.tokens import (
    SpecialTokens,
    fitted,
    length_of,
    make_tokenizer,
    padded,
)
from learn_assets_tests.subtypes.language.made import DESCRIPTIONS, distinct_texts

SPECIAL = SpecialTokens(0, 1, 2, 3, 4, vocabulary=50)


def admissions(count: int, seed: int = 0) -> list[tuple[tuple[int, ...], ...]]:
    generator = np.random.default_rng(seed)
    return [
        tuple(
            tuple(int(token) for token in generator.integers(5, 50, size=generator.integers(1, 9)))
            for _ in range(generator.integers(1, 12))
        )
        for _ in range(count)
    ]


def test_masks_cover_the_share_of_words_and_nothing_else() -> None:
    batch = padded(admissions(600), SPECIAL)
    ids, chosen = mask_tokens(batch, SPECIAL, 0.15, np.random.default_rng(1))
    words = int(batch.words.sum())
    # Three standard errors of a share of 15 %.
    assert chosen.sum() / words == pytest.approx(0.15, abs=3 * (0.15 * 0.85 / words) ** 0.5)
    assert not (chosen & ~batch.words).any()
    assert (ids[~chosen] == batch.ids[~chosen]).all()
    assert (ids[chosen] == SPECIAL.mask).mean() == pytest.approx(0.8, abs=0.03)
    # One in ten is swapped; a swap may draw the very same token.
    kept = (ids[chosen] == batch.ids[chosen]).mean()
    assert kept == pytest.approx(0.1 + 0.1 / 45, abs=0.03)
    assert not np.isin(ids[chosen], [0, 1, 2, 3]).any()


def test_the_same_seed_masks_the_same_and_a_lone_token_is_masked() -> None:
    batch = padded(admissions(20), SPECIAL)
    first, again = (mask_tokens(batch, SPECIAL, 0.15, np.random.default_rng(3)) for _ in range(2))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    other = mask_tokens(batch, SPECIAL, 0.15, np.random.default_rng(4))
    assert (first[1] != other[1]).any()
    lone = padded([((7,),)], SPECIAL)
    assert mask_tokens(lone, SPECIAL, 0.01, np.random.default_rng(0))[1].sum() == 1


def test_padding_and_limits_keep_diagnoses_whole() -> None:
    batch = padded([((5, 6), (7,)), ((8,),)], SPECIAL)
    assert batch.ids.tolist() == [[1, 5, 6, 2, 7, 2], [1, 8, 2, 0, 0, 0]]
    assert batch.attention.sum(axis=1).tolist() == [6, 3]
    assert batch.words.sum(axis=1).tolist() == [3, 1]
    assert length_of(((5, 6), (7,))) == 6
    assert fitted(((5, 6), (7,)), 5) == ((5, 6),)
    assert fitted(((5, 6), (7,)), 6) == ((5, 6), (7,))


def test_the_tokenizer_is_the_same_every_time_and_knows_its_words() -> None:
    texts = sorted(text for row in distinct_texts(300)["descriptions"] for text in row)
    made = {make_tokenizer(texts).to_str() for _ in range(3)}
    assert len(made) == 1
    tokenizer = make_tokenizer(texts)
    special = SpecialTokens.of(tokenizer)
    known = admissions_as_tokens(tokenizer, [list(DESCRIPTIONS.values())], 64)[0]
    assert not {special.unknown} & {token for tokens in known for token in tokens}


def test_held_out_loss_is_the_mean_over_hidden_tokens_whatever_the_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    model = new_model(SPECIAL, seed=1).eval()
    rows = sorted(admissions(10), key=length_of)
    objective = MaskedObjective(model, SPECIAL, rows, rows, 0.15, seed=5)
    batch = padded(rows, SPECIAL)
    ids, chosen = mask_tokens(batch, SPECIAL, 0.15, np.random.default_rng([5, 3]))
    with torch.inference_mode():
        scores = model(
            input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(batch.attention)
        ).logits
    likelihood = scores.log_softmax(dim=-1).numpy()
    losses = [-likelihood[i, j, batch.ids[i, j]] for i, j in np.argwhere(chosen)]
    assert objective.held_out_loss() == pytest.approx(np.mean(losses), rel=1e-5)
    assert objective.held_out_loss() == objective.held_out_loss()
