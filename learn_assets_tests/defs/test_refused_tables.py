"""A table that failed a check stays in the lake for a look, but no schedule builds on it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from learn_assets import provenance
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.schedules import schedules
from learn_assets.lake import Lake
from learn_assets_tests.canonical import study_of

WINDOWS = [{"LIS": 365, "BP": 90, "FUP": 1825}, {"LIS": 365, "BP": 90, "FUP": 730}]
STUDY = study_of(windows=WINDOWS)
FRAME = pl.DataFrame({"patient_id": ["a", "b"]})


@pytest.fixture
def resource(tmp_path: Path) -> LakeResource:
    return LakeResource(study_name=STUDY.name, home=str(tmp_path))


def asked(resource: LakeResource, schedule: str) -> list[str | None] | str:
    """Return the partitions a schedule asks for, or why it asks for none."""
    (definition,) = (item for item in schedules(STUDY) if item.name == schedule)
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2026, 3, 1, tzinfo=UTC), resources={"lake": resource}
    )
    answer = definition(context)
    if isinstance(answer, dg.SkipReason):
        return str(answer.skip_message)
    return [request.partition_key for request in answer]


def judge(lake: Lake, table: str, window: int | None, *, passed: bool) -> None:
    place = None if window is None else STUDY.windows[window]
    stamp = lake.write(table, FRAME, window=place)
    provenance.record_verdict(lake, table, stamp.fingerprint, place, passed=passed)


def test_a_window_whose_cohort_failed_is_not_trained_on(resource: LakeResource) -> None:
    lake = resource.open()
    judge(lake, "cohort", 0, passed=False)
    judge(lake, "cohort", 1, passed=True)
    assert asked(resource, "retraining") == [f"minilm|{STUDY.windows[1].key}"]


def test_a_shared_table_that_failed_holds_everything_and_is_named(resource: LakeResource) -> None:
    lake = resource.open()
    judge(lake, "index_events", None, passed=False)
    judge(lake, "narratives", None, passed=False)
    for schedule, table in (("cohort_refresh", "index_events"), ("retraining", "narratives")):
        reason = asked(resource, schedule)
        assert isinstance(reason, str)
        assert table in reason


def test_a_table_made_again_is_no_longer_refused(resource: LakeResource) -> None:
    lake = resource.open()
    judge(lake, "index_events", None, passed=False)
    lake.write("index_events", FRAME.reverse())
    assert asked(resource, "cohort_refresh") == [window.key for window in STUDY.windows]
