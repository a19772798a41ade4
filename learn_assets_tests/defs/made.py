"""A small synthetic study, materialized once by the real runner, and means to spoil a copy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.instance.ref import InstanceRef
from ruamel.yaml import YAML

from learn_assets.definitions import build_definitions
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.runner import StageOutcome, materialize_study, prepare_dagster_home
from learn_assets.lake import Lake, TableStamp
from learn_assets.study import Study
from learn_assets.study.windows import Window

ENCODER = "minilm"
LONG = {"LIS": 180, "BP": 0, "FUP": 1825}
SHORT = {"LIS": 180, "BP": 0, "FUP": 1095}
DATA, RESULTS = "data_tables", "results"


def tiny_study(**sections: Any) -> Study:
    """Return a study that runs in half a minute; `sections` replace those of the same name."""
    document = {
        "name": "tiny",
        "title": "Tiny synthetic study",
        "synthetic": True,
        "source": {"format": "synthetic", "patients": 160, "seed": 7, "care_sites": 2},
        "cohort": {
            "mode": "derived",
            "index_event": {
                "kinds": ["lab_result"],
                "code_list": "antinuclear_antibody",
                "value_text": ["positive", "detected"],
            },
            "outcome": {"code_list": "systemic_lupus_erythematosus"},
            "severe_outcomes": [
                {"name": "lupus_nephritis", "code_list": "lupus_nephritis"},
                {"name": "cytopenia", "code_list": "cytopenia"},
            ],
        },
        "windows": [LONG, SHORT],
        "models": {"learners": ["elastic_net"], "folds": 2},
        "survival": {"learners": ["cox"]},
        **sections,
    }
    return Study.model_validate(document)


@dataclass(frozen=True)
class MadeStudy:
    """A study in a LEARN_HOME and a DAGSTER_HOME of its own, and how its runs ended."""

    study: Study
    home: Path
    outcomes: tuple[StageOutcome, ...] = ()

    @property
    def lake(self) -> Lake:
        """The tables."""
        return Lake(self.home / self.study.name)

    @property
    def dagster_home(self) -> Path:
        """Where runs and events are kept."""
        return self.home / "dagster_home"

    def definitions(self) -> dg.Definitions:
        """Return fresh definitions of the study."""
        with self.active():
            return build_definitions(self.study)

    def spoiling(self, table: str, window: int | None = None, **columns: Any) -> dg.Definitions:
        """Return definitions that write a table with these values in its first row."""
        key = None if window is None else self.study.windows[window].key
        lake = SpoilingResource(
            study_name=self.study.name,
            home=str(self.home),
            table=table,
            window=key,
            columns=columns,
        )
        with self.active():
            return build_definitions(self.study, {"lake": lake})

    @contextmanager
    def active(self) -> Iterator[None]:
        """Point LEARN_HOME and DAGSTER_HOME here."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LEARN_HOME", str(self.home))
            patch.setenv("DAGSTER_HOME", str(self.dagster_home))
            yield

    def instance(self) -> dg.DagsterInstance:
        """Return the instance that ran it."""
        return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(self.dagster_home)))

    def materialize(
        self, definitions: dg.Definitions | None = None, *, force: bool = False
    ) -> dict[str, StageOutcome]:
        """Run every stage that is out of date; outcomes by label of the run."""
        with self.active():
            prepare_dagster_home(self.home)
            outcomes = materialize_study(
                self.study,
                self.lake,
                definitions or self.definitions(),
                force=force,
                report=lambda outcome: None,
            )
        return {outcome.run.label: outcome for outcome in outcomes}

    def run_job(
        self,
        job: str,
        *assets: str,
        window: int | None = None,
        definitions: dg.Definitions | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job, or only some of its assets, for one window (and the encoder) if named."""
        key: Any = None
        if window is not None:
            key = self.study.windows[window].key
            if job in {"risk_models", "sensitivity", "transfer"}:
                key = dg.MultiPartitionKey({"window": key, "encoder": ENCODER})
        with self.active():
            prepare_dagster_home(self.home)
            with self.instance() as instance:
                return (
                    (definitions or self.definitions())
                    .resolve_job_def(job)
                    .execute_in_process(
                        partition_key=key,
                        instance=instance,
                        raise_on_error=False,
                        asset_selection=[dg.AssetKey(asset) for asset in assets] or None,
                    )
                )

    def latest(self, asset: str, partition: str | None = None) -> dict[str, Any]:
        """Return the metadata of an asset's last materialization."""
        wanted = dg.AssetRecordsFilter(
            asset_key=dg.AssetKey(asset), asset_partitions=[partition] if partition else None
        )
        with self.instance() as instance:
            record = instance.fetch_materializations(wanted, limit=1).records[0]
        assert record.asset_materialization is not None
        entries = record.asset_materialization.metadata
        return {name: entry.value for name, entry in entries.items()}

    def cell_key(self, number: int) -> str:
        """Return the partition key of a window's cell."""
        return f"{ENCODER}|{self.study.windows[number].key}"

    def window_label(self, number: int) -> str:
        """Return the label of a window's run."""
        return f"cohort_tables {self.study.windows[number].key}"

    def cell_label(self, number: int) -> str:
        """Return the label of a cell's run."""
        return f"risk_models {ENCODER}|{self.study.windows[number].key}"

    def sensitivity_label(self, number: int) -> str:
        """Return the label of a run of a window's sensitivity analyses."""
        return f"sensitivity {ENCODER}|{self.study.windows[number].key}"

    def copy(self, home: Path, study: Study | None = None) -> MadeStudy:
        """Return a copy of the lake that a test may change, without its past runs."""
        shutil.copytree(self.home / self.study.name, home / self.study.name)
        return MadeStudy(study or self.study, home)


def write_study_file(made: MadeStudy) -> Path:
    """Write the study as a YAML file into its home, as a user would have it."""
    file = made.home / "study.yaml"
    document = json.loads(made.study.model_dump_json(by_alias=True, exclude_none=True))
    YAML(typ="safe").dump(document, file)
    return file


def statuses(outcomes: dict[str, StageOutcome]) -> dict[str, str]:
    """Return how each run ended, by label."""
    return {label: outcome.status for label, outcome in outcomes.items()}


def table_stamps(lake: Lake) -> dict[str, str]:
    """Return the stamp of every table in a lake, by its path below the lake."""
    return {
        str(path.relative_to(lake.root)): path.read_text(encoding="utf-8")
        for path in sorted((lake.root / "tables").rglob("*.stamp.json"))
    }


def failed_checks(result: dg.ExecuteInProcessResult) -> set[tuple[str, str]]:
    """Return asset and name of each check that did not pass."""
    return {
        (check.asset_key.to_user_string(), check.check_name)
        for check in result.get_asset_check_evaluations()
        if not check.passed
    }


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    """Return the assets that a run made."""
    return {
        event.asset_key.to_user_string()
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


def stored_texts(instance: dg.DagsterInstance) -> Iterator[str]:
    """Yield all that an instance keeps of its runs: settings, tags, events, logs and metadata."""
    for run in instance.get_runs():
        yield dg.serialize_value(run)
        for entry in instance.all_logs(run.run_id):
            yield entry.to_json()


def found_in(texts: Iterable[str], needles: Iterable[str]) -> int:
    """Return how many of the needles stand in one of the texts."""
    whole = "\n".join(texts)
    return sum(needle in whole for needle in needles)


def patient_ids(lake: Lake) -> list[str]:
    """Return every id of a person in the raw extract."""
    ids = lake.read("raw_patient")["patient_id"].drop_nulls().unique()
    return ids.filter(ids != "").to_list()


class SpoiledLake(Lake):
    """A lake that spoils one table whenever it is written: columns replaced in its first row."""

    def __init__(self, root: Path, table: str, window: str | None, columns: dict[str, Any]) -> None:
        super().__init__(root)
        self._table = table
        self._window = window
        self._columns = columns

    def commit(
        self,
        table: str,
        staged: Path,
        *,
        window: Window | str | None = None,
        encoder: str | None = None,
    ) -> TableStamp:
        key = window.key if isinstance(window, Window) else window
        if (table, key) == (self._table, self._window):
            frame = pl.read_parquet(staged)
            first = frame[:1].with_columns(
                pl.lit(value, dtype=frame.schema[name]).alias(name)
                for name, value in self._columns.items()
            )
            pl.concat([first, frame[1:]]).write_parquet(staged)
        return super().commit(table, staged, window=window, encoder=encoder)


class SpoilingResource(LakeResource):
    """Opens a `SpoiledLake` in the LEARN_HOME that is set."""

    table: str
    window: str | None = None
    columns: dict[str, Any]

    def open(self) -> Lake:
        root = super().open().root
        return SpoiledLake(root, self.table, self.window, self.columns)
