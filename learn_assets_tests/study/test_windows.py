from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from learn_assets.study.windows import Period, Window

INDEX = date(2015, 6, 1)

windows = st.builds(
    lambda lis, bp, extra: Window(LIS=lis, BP=bp, FUP=bp + extra),
    st.integers(0, 5000),
    st.integers(0, 400),
    st.integers(1, 400),
)
index_dates = st.dates(date(1990, 1, 1), date(2030, 12, 31))


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


@given(windows, index_dates)
def test_periods_hold_the_days_a_loop_over_days_finds(window: Window, index_date: date) -> None:
    buffer, at_risk = window.buffer(index_date), window.time_at_risk(index_date)
    days_in_buffer = days_at_risk = 0
    for offset in range(-3, window.follow_up_period + 4):
        day = index_date + timedelta(days=offset)
        assert (day in buffer) == (0 < offset <= window.buffer_period)
        assert (day in at_risk) == (window.buffer_period < offset <= window.follow_up_period)
        days_in_buffer += day in buffer
        days_at_risk += day in at_risk
    assert (buffer.days, at_risk.days) == (days_in_buffer, days_at_risk)


@given(windows, index_dates)
def test_length_in_system_reaches_back_exactly(window: Window, index_date: date) -> None:
    latest = window.latest_first_record(index_date)
    assert (index_date - latest).days == window.length_in_system


def test_the_index_day_is_in_no_period() -> None:
    window = Window(LIS=0, BP=0, FUP=1)
    assert INDEX not in window.buffer(INDEX)
    assert INDEX not in window.time_at_risk(INDEX)
    assert window.time_at_risk(INDEX) == Period(date(2015, 6, 2), date(2015, 6, 2))


def test_an_empty_period_holds_no_day() -> None:
    empty = Window(LIS=0, BP=0, FUP=5).buffer(INDEX)
    assert empty.days == 0
    assert all(INDEX + timedelta(days=offset) not in empty for offset in range(-2, 3))
