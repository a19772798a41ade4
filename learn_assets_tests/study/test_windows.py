from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from learn_assets.study.windows import Window

windows = st.builds(
    lambda lis, bp, extra: Window(LIS=lis, BP=bp, FUP=bp + extra),
    st.integers(0, 5000),
    st.integers(0, 400),
    st.integers(1, 400),
)


@given(windows)
def test_a_key_names_exactly_one_window(window: Window) -> None:
    assert Window.from_key(window.key) == window


@given(windows, windows)
def test_two_windows_never_share_a_key(one: Window, other: Window) -> None:
    assert (one.key == other.key) == (one == other)


@pytest.mark.parametrize(
    "key", ["", "LIS-1_BP-2", "LIS-1_BP-0_FUP-3 ", "LIS--1_BP-0_FUP-3", "BP-0_LIS-1_FUP-3"]
)
def test_other_texts_are_not_keys(key: str) -> None:
    with pytest.raises(ValueError, match="LIS-<days>_BP-<days>_FUP-<days>"):
        Window.from_key(key)


@pytest.mark.parametrize(
    "days",
    [
        {"LIS": -1, "BP": 0, "FUP": 1},
        {"LIS": 0, "BP": -1, "FUP": 1},
        {"LIS": 0, "BP": 0, "FUP": 0},
        {"LIS": 0, "BP": 180, "FUP": 180},
        {"LIS": 0.5, "BP": 0, "FUP": 1},
    ],
)
def test_impossible_windows_are_refused(days: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Window.model_validate(days)
