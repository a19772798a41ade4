"""Fixtures and settings that every test shares: a private lake, a small study, a browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from learn_assets.lake import Lake
from learn_assets.reporting.document import Report
from learn_assets.reporting.report import build_report
from learn_assets.reporting.results import StudyResults, collect_results
from learn_assets.study import Study
from learn_assets_tests.reporting.made_up import describe_study, fill_lake

# Set before any library is imported by a test: some read these at import time only.
os.environ.update(
    {
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "true",
        "GX_ANALYTICS_ENABLED": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "Agg",
        # One of several processes has one core to itself.
        "OMP_NUM_THREADS": os.environ.get(
            "OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"
        ),
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_OFFLINE": "1",
    }
)
# A developer's own lake, instance and study are out of reach of every test.
for variable in ("LEARN_HOME", "LEARN_STUDY", "DAGSTER_HOME"):
    os.environ.pop(variable, None)

_MADE_ONCE = "learn_assets_tests/defs/"

# A shared machine may stall for seconds, which says nothing about the code.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slow tests last, so a mistake shows in seconds."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give whole files to the workers of pytest-xdist, and all that share the made study to one.

    Making that study costs more than a fourth of the fast tests; two workers would make it twice.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return _MADE_ONCE if file.startswith(_MADE_ONCE) else file

    return ByFile(config, log)


@pytest.fixture(autouse=True)
def _isolated_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dagster_home = tmp_path / "dagster_home"
    dagster_home.mkdir()
    (dagster_home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    monkeypatch.setenv("LEARN_HOME", str(tmp_path / "learn_home"))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake of its own."""
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="session")
def small_study() -> Study:
    """A synthetic study of 200 patients, two windows and the quick learners."""
    return Study.model_validate(
        {
            "name": "small",
            "title": "Small synthetic study",
            "synthetic": True,
            "source": {"format": "synthetic", "patients": 200, "seed": 7},
            "cohort": {
                "mode": "derived",
                "index_event": {
                    "kinds": ["lab_result"],
                    "code_list": "antinuclear_antibody",
                    "value_text": ["positive"],
                },
                "outcome": {"code_list": "systemic_lupus_erythematosus"},
            },
            "windows": [
                {"LIS": 365, "BP": 90, "FUP": 1825},
                {"LIS": 365, "BP": 90, "FUP": 730},
            ],
            "models": {"learners": ["elastic_net"], "folds": 2},
        }
    )


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium that can be driven without a screen."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "no Chromium on this machine (Debian, Ubuntu: apt-get install chromium)"
        if os.environ.get("LEARN_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def report_study(small_study: Study) -> Study:
    """The small study with every learner, for reports."""
    return describe_study(small_study)


@pytest.fixture(scope="session")
def report_lake(report_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of made-up tables, as if that study had been materialized."""
    return fill_lake(report_study, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def report_results(report_study: Study, report_lake: Lake) -> StudyResults:
    """What a report of that lake shows."""
    return collect_results(report_study, report_lake)


@pytest.fixture(scope="session")
def report_document(report_study: Study, report_lake: Lake) -> Report:
    """The report of that lake."""
    return build_report(report_study, report_lake)
