from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn_assets.disclosure import (
    WITHHELD,
    hidden_groups,
    is_small,
    shown,
    shown_chain,
    shown_parts,
    shown_share,
)

MINIMUM = 11
counts = st.one_of(st.integers(0, 25), st.integers(0, 5000))


def _is_small(count: int) -> bool:
    return 0 < count < MINIMUM


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (1, "<11"), (10, "<11"), (11, "11"), (12345, "12,345")]
)
def test_a_count_alone_is_masked_when_it_is_small(count: int, text: str) -> None:
    assert shown(count, MINIMUM).text == text


@given(st.lists(counts, min_size=1, max_size=6).filter(lambda parts: sum(parts) >= MINIMUM))
def test_no_small_part_is_what_is_left_of_the_total(parts: list[int]) -> None:
    result = shown_parts(parts, MINIMUM)
    pairs = list(zip(result, parts, strict=True))
    assert all(part.value in (None, count) for part, count in pairs)
    assert not any(_is_small(count) for part, count in pairs if part.value is not None)
    assert not _is_small(sum(count for part, count in pairs if part.value is None))


@given(st.lists(counts, min_size=1, max_size=9), st.one_of(st.just(0), counts))
def test_no_small_step_can_be_worked_out_from_what_is_shown(steps: list[int], last: int) -> None:
    remaining = list(accumulate([last, *steps]))[::-1]
    chain = shown_chain(remaining, MINIMUM)

    # What a reader can derive: counts shown, and neighbors of a count shown across a shown step.
    known = {index: count.value for index, count in enumerate(chain.remaining)}
    for _ in remaining:
        for index in range(1, len(remaining)):
            removed = chain.removed[index].value
            if removed is None:
                continue
            if known[index] is None and known[index - 1] is not None:
                known[index] = known[index - 1] - removed
            if known[index - 1] is None and known[index] is not None:
                known[index - 1] = known[index] + removed

    derived = [value for value in known.values() if value is not None]
    assert not any(_is_small(value) for value in derived)
    differences = {one - other for one in derived for other in derived}
    assert not any(_is_small(difference) for difference in differences)
    assert all(
        value in (None, count) for value, count in zip(known.values(), remaining, strict=True)
    )


def test_the_final_count_is_kept_and_an_earlier_one_gives_way() -> None:
    chain = shown_chain([500, 495, 300, 300, 200], MINIMUM)
    assert [str(count) for count in chain.remaining] == [WITHHELD, "495", "300", "300", "200"]
    assert [str(count) for count in chain.removed] == ["0", "<11", "195", "0", "100"]


def test_a_chain_without_small_steps_is_shown_whole() -> None:
    chain = shown_chain([500, 400, 300], MINIMUM)
    assert [count.value for count in chain.remaining] == [500, 400, 300]
    assert [count.value for count in chain.removed] == [0, 100, 100]


def test_a_rising_chain_is_refused() -> None:
    with pytest.raises(ValueError, match="rise"):
        shown_chain([10, 20], MINIMUM)


@pytest.mark.parametrize("small", [1, 10])
def test_a_share_does_not_give_a_small_count_away(small: int) -> None:
    texts = {shown_share(1000 - count, 1000, 11) for count in range(1, 11)}
    assert len(texts) == 1
    assert len({shown_share(count, 1000, 11) for count in range(1, 11)}) == 1
    assert shown_share(small, small, 11) == "-"
    assert shown_share(500, 1000, 11) == "50.0 %"


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=7), st.integers(1, 12))
def test_withheld_groups_hide_small_counts_of_cases_and_controls(
    groups: list[tuple[int, int]], minimum: int
) -> None:
    hidden = hidden_groups(groups, minimum)
    shown = [group for index, group in enumerate(groups) if index not in hidden]
    assert not any(is_small(minimum, *group, sum(group)) for group in shown)
    rest = [sum(groups[index][side] for index in hidden) for side in (0, 1)]
    # A remainder may be small only when nothing is shown that it could be told apart from.
    assert not is_small(minimum, *rest) or not any(sum(group) for group in shown)
    sizes = [sum(group) for group in groups]
    masked = {index for index, part in enumerate(shown_parts(sizes, minimum)) if part.value is None}
    assert masked <= hidden
