"""Small canonical tables for tests of the SQL models: rows in a few words, the rest filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import polars as pl

from learn_assets.lake import Lake
from learn_assets.schemas.registry import empty_frame
from learn_assets.sources.rrf import RRF_TABLES
from learn_assets.study import Study
from learn_assets.vocabulary.code_lists import resolve_code_lists
from learn_assets.vocabulary.icd import packaged_descriptions
from learn_assets.warehouse import WarehouseReport, model_names, run_models, windowed_models

INDEX = date(2015, 6, 15)
WINDOW = {"LIS": 365, "BP": 90, "FUP": 1825}
KINDS = ("diagnosis", "procedure", "medication", "lab_result")

Row = Mapping[str, Any]


def day(offset: int, start: date = INDEX) -> date:
    """Return the day so many days after the index date."""
    return start + timedelta(days=offset)


def record(patient: str, offset: int, code_system: str, code: str, **more: Any) -> dict[str, Any]:
    """Return one event record, `offset` days after the index date."""
    return {
        "patient_id": patient,
        "date": day(offset),
        "code_system": code_system,
        "code": code,
        **more,
    }


@dataclass
class Tables:
    """Rows of each canonical table; what a row leaves out is empty, `source_row` counts up."""

    rows: dict[str, Sequence[Row]] = field(default_factory=dict)

    def write(self, lake: Lake, study: Study) -> None:
        """Write every table that the models read."""
        tables = ["patient", *KINDS, "terminology", "packaged_description"]
        if study.cohort.mode == "supplied":
            tables += ["cohort_table", "cohort_feature"]
        for table in tables:
            lake.write(table, self._frame(table, empty_frame(table)))
        for spec in RRF_TABLES:
            lake.write(spec.table, self._frame(spec.table, pl.DataFrame(schema=spec.schema)))
        lake.write("code_list", resolve_code_lists(study))

    def _frame(self, table: str, empty: pl.DataFrame) -> pl.DataFrame:
        rows = [{"source_row": n, **row} for n, row in enumerate(self.rows.get(table, ()), start=1)]
        columns = {
            name: pl.Series(name, [row.get(name) for row in rows], dtype=dtype)
            for name, dtype in empty.schema.items()
        }
        return pl.DataFrame(columns)


def study_of(**sections: Any) -> Study:
    """Return a derived study, changed at will: index HCPCS IDX, outcome SLE on two days."""
    cohort = {
        "mode": "derived",
        "age_at_index": {"min": 16, "max": 85},
        "index_event": {"kinds": ["procedure"], "code_list": "index"},
        "outcome": {"code_list": "systemic_lupus_erythematosus", "distinct_days": 2},
        **sections.pop("cohort", {}),
    }
    if cohort["mode"] == "supplied":
        cohort.pop("index_event")
        cohort.pop("outcome")
    document = {
        "name": "small",
        "title": "Small",
        "source": {"format": "trinetx", "folder": "none", "cohort_table": "none"},
        "cohort": cohort,
        "code_lists": {"index": [{"code_system": "HCPCS", "codes": ["IDX"], "match": "exact"}]},
        "windows": [WINDOW],
        **sections,
    }
    return Study.model_validate(document)


def write_vocabulary(study: Study, lake: Lake) -> None:
    """Write the code lists and the packaged titles, as the Dagster layer does."""
    lake.write("code_list", resolve_code_lists(study))
    lake.write("packaged_description", packaged_descriptions())


def run_all(study: Study, lake: Lake) -> dict[str, WarehouseReport]:
    """Build every model for every window; reports by window key, `""` for the unwindowed."""
    windowed = windowed_models(lake)
    plain = [name for name in model_names(lake) if name not in windowed]
    reports = {"": run_models(study, lake, plain)}
    for window in study.windows:
        reports[window.key] = run_models(study, lake, windowed, window)
    return reports


def run_cohort(study: Study, lake: Lake) -> dict[str, WarehouseReport]:
    """Build again what a change of the supplied cohort table reaches, for every window."""
    models = ["index_events", "exclusion_events", "cohort", "attrition", "scoring_population"]
    return {window.key: run_models(study, lake, models, window) for window in study.windows}


def assert_no_failed_tests(reports: Mapping[str, WarehouseReport]) -> None:
    """Every dbt test of every run passed, and nothing was skipped."""
    for report in reports.values():
        assert [test.name for test in report.failed_tests] == []
        assert report.skipped == ()
