"""Time the way from raw files to narratives and counts against plain pandas.

    python benchmarks/tables.py [--patients 5000 20000]

Two contenders read the same synthetic TriNetX download, each in a process of its own: `plain` does
what a notebook does (read every file whole as text, find the first positive test, merge, group,
join strings), `package` runs its own stages for one window: raw tables with their source rows,
validation with quarantine, RxNorm, code lists, eligibility and attrition, narratives, counts, and
the dbt tests on all of it, which `plain` has nothing of. Both must find the same patients, the same
records a kind and the same counts. Printed: seconds and the most memory a process held, and how
both grow with the number of patients.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from learn_assets.study import Study

KINDS = {"diagnosis": "diagnosis", "procedure": "procedure", "medication": "medication_drug"}
ANA_CODES = ("5048-4", "8061-4", "42254-3")
ANA_TEXTS = ("positive", "detected", "reactive", "1:80", "1:160", "1:320", "1:640")
ANA_NUMBER = 80
# The outcome's own codes are no features, in either contender.
OUTCOME = {"ICD-10-CM": ("M321", "M328", "M329"), "ICD-9-CM": ("7100",)}


@dataclass(frozen=True)
class Made:
    """What a contender made: patients with an index date, records by kind, sum of all counts."""

    patients: int
    records: dict[str, int]
    counted: float


@dataclass(frozen=True)
class Run:
    """One contender on one site: what it made, seconds of wall clock and processor, most bytes."""

    made: Made
    wall: float
    cpu: float
    memory: int


def package(site: Path, home: Path) -> Made:
    """Make the tables with the package."""
    import polars as pl

    from learn_assets.lake import Lake
    from learn_assets.sources.ingest import RAW_TABLES, ingest_rxnorm, ingest_table
    from learn_assets.validation.validate import validate_table
    from learn_assets.vocabulary.code_lists import resolve_code_lists
    from learn_assets.vocabulary.icd import packaged_descriptions
    from learn_assets.warehouse import model_names, run_models, windowed_models

    study, lake = study_of(site), Lake(home)
    for table in RAW_TABLES:
        ingest_table(study, lake, table)
        report = validate_table(study, lake, table)
        if report.rows_in != report.rows_kept + report.rows_quarantined:
            raise AssertionError(f"rows of {table} were lost")
    ingest_rxnorm(study, lake)
    lake.write("code_list", resolve_code_lists(study))
    lake.write("packaged_description", packaged_descriptions())
    windowed = windowed_models(lake)
    plain_models = [name for name in model_names(lake) if name not in windowed]
    window = study.windows[0]
    reports = [run_models(study, lake, plain_models), run_models(study, lake, windowed, window)]
    failed = [test.name for report in reports for test in report.failed_tests]
    if failed:
        raise AssertionError(f"failed dbt tests: {failed}")
    narratives = lake.scan("narratives")
    records = narratives.group_by("kind").agg(pl.col("records").sum()).collect()
    counted = lake.scan("int_event_counts").select(pl.col("count").sum()).collect()
    patients = lake.scan("index_events").select(pl.len()).collect().item()
    return Made(patients, dict(records.iter_rows()), float(counted.item()))


def study_of(site: Path) -> Study:
    """Return the demo's study, its source the download in a folder."""
    from learn_assets.sources.resolve import synthetic_layout
    from learn_assets.study.file import load_study

    return load_study("demo").model_copy(update={"source": synthetic_layout(site)})


def plain(site: Path, home: Path) -> Made:
    """Make the tables with pandas, every file whole in memory."""
    import pandas as pd

    laboratory = read(site / "lab_result.csv")
    text = laboratory["lab_result_text_val"].str.strip().str.lower().isin(ANA_TEXTS)
    number = pd.to_numeric(laboratory["lab_result_num_val"], errors="coerce") >= ANA_NUMBER
    positive = laboratory[laboratory["code"].isin(ANA_CODES) & (text | number)]
    index = positive.groupby("patient_id")["date"].min().rename("index_date").reset_index()
    titles = pd.read_csv(site / "standardized_terminology.csv", dtype=str)
    titles = titles.drop_duplicates(["code_system", "code"])
    narratives, counts = [], []
    for kind, file in KINDS.items():
        history = history_of(read(site / f"{file}.csv"), index)
        named = history.merge(titles, on=["code_system", "code"], how="left")
        missing = named["code_system"] + " " + named["code"]
        named["description"] = named["code_description"].fillna(missing)
        narratives.append(narratives_of(named, kind))
        counted = history.groupby(["patient_id", "code_system", "code"]).size()
        counts.append(counted.rename("count").reset_index().assign(kind=kind))
    home.mkdir()
    written = pd.concat(narratives)
    written.to_parquet(home / "narratives.parquet")
    counted_all = pd.concat(counts)
    counted_all.to_parquet(home / "counts.parquet")
    records = written.groupby("kind")["records"].sum()
    return Made(
        len(index),
        {str(kind): int(total) for kind, total in records.items()},
        float(counted_all["count"].sum()),
    )


def read(path: Path) -> pd.DataFrame:
    """Return the records of a file with a date, as text otherwise."""
    import pandas as pd

    frame = pd.read_csv(path, dtype=str)
    frame = frame.rename(columns={"start_date": "date"})
    frame["date"] = pd.to_datetime(frame["date"], format="%Y%m%d")
    return frame.drop_duplicates()


def history_of(records: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
    """Return records strictly before the index date that are none of the outcome's codes."""
    history = records.merge(index, on="patient_id")
    history = history[history["date"] < history["index_date"]]
    dotless = history["code"].str.replace(".", "", regex=False)
    of_outcome = history["code_system"].isna()
    for code_system, prefixes in OUTCOME.items():
        of_outcome |= (history["code_system"] == code_system) & dotless.str.startswith(prefixes)
    return history[~of_outcome]


def narratives_of(named: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return a text a patient: each description once, the most recent first."""
    recent = named.sort_values("date", ascending=False, kind="stable")
    once = recent.drop_duplicates(["patient_id", "description"])
    texts = once.groupby("patient_id")["description"].agg(" | ".join).rename("text")
    records = named.groupby("patient_id").size().rename("records")
    return texts.to_frame().join(records).reset_index().assign(kind=kind)


CONTENDERS: dict[str, Callable[[Path, Path], Made]] = {"plain": plain, "package": package}


def in_process(name: str, site: Path, home: Path) -> Run:
    """Run a contender in a process of its own and return what it took."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(name, site, home, sender))
    process.start()
    sender.close()
    try:
        run = receiver.recv()
    except EOFError:
        raise SystemExit(f"{name} failed") from None
    process.join()
    if not isinstance(run, Run):
        raise TypeError(f"{name} sent no measurement")
    return run


def _measured(name: str, site: Path, home: Path, sender: Any) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    made = CONTENDERS[name](site, home)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sender.send(Run(made, wall, cpu, memory))


def make_site(folder: Path, patients: int) -> Path:
    """Write a synthetic download without bad rows, which pandas would stumble over."""
    from learn_assets.study import SyntheticSource
    from learn_assets.synthetic import write_site

    write_site(folder, SyntheticSource(format="synthetic", patients=patients, dirty_share=0.0))
    return folder


def main() -> None:
    """Measure every size and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--patients", type=int, nargs="+", default=[5_000, 20_000])
    sizes = parser.parse_args().patients
    for patients in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            site = make_site(folder / "site", patients)
            size = sum(path.stat().st_size for path in site.glob("*.csv")) / 1e6
            runs = {name: in_process(name, site, folder / name) for name in CONTENDERS}
        report(patients, size, runs)


def report(patients: int, megabytes: float, runs: dict[str, Run]) -> None:
    """Print what the contenders took for one site, once they agree on what they made."""
    made = {name: run.made for name, run in runs.items()}
    if made["plain"] != made["package"]:
        raise SystemExit(f"the contenders disagree: {made}")
    records = sum(made["package"].records.values())
    print(f"{patients:,} patients, {megabytes:,.0f} MB of CSV, {records:,} records before index")
    for name, run in runs.items():
        print(
            f"  {name:8} {run.wall:7.1f} s wall, {run.cpu:7.1f} s CPU, "
            f"{run.memory / 1e9:6.2f} GB at most"
        )
    ours, theirs = runs["package"], runs["plain"]
    print(
        f"  plain takes {theirs.wall / ours.wall:.2f} times the wall clock, "
        f"{theirs.cpu / ours.cpu:.2f} times the CPU and {theirs.memory / ours.memory:.2f} times "
        "the memory"
    )


if __name__ == "__main__":
    main()
