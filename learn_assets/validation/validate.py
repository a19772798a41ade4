"""validate_table: a raw table into its canonical table and its quarantine, every row accounted for.

Rules of a row alone are asked while the raw table streams by; rules that compare it with its
patient or with other rows are asked bucket by bucket. A row has the first reason that holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from learn_assets.lake import Lake
from learn_assets.schemas.registry import empty_frame
from learn_assets.sources.files import SourceError
from learn_assets.sources.sink import ParquetSink
from learn_assets.study import Study
from learn_assets.validation import values
from learn_assets.validation.buckets import ROWS_A_BUCKET, Buckets, bucket_count, cut_points
from learn_assets.validation.calendar import calendar_of
from learn_assets.validation.code_systems import CodeSystems
from learn_assets.validation.cohort_columns import assert_cohort_columns
from learn_assets.validation.cohort_features import write_cohort_features
from learn_assets.validation.raw_reader import POSITION, RawTable
from learn_assets.validation.readings import TABLE_RULES, Setting, TableRules, read
from learn_assets.validation.reasons import Reason, Rule, explained, first_broken
from learn_assets.validation.values import Calendar

# Billing and death registration lag behind; what comes later than this belongs to someone else.
DAYS_AFTER_DEATH = 60
_HASH = ("__hash_1", "__hash_2")


class RowAccountError(RuntimeError):
    """Rows in are not rows kept plus rows quarantined: a defect of validation, not of the data."""


@dataclass(frozen=True)
class ValidationReport:
    """Counts of a validation; `reasons` sorted by name.

    `counted`: rows of which a condition holds that the table's reading counts, such as results
    below a limit, among those that break no rule of their own. `last_day`: what came later was in
    the future; None: nothing was.
    """

    table: str
    rows_in: int
    rows_kept: int
    rows_quarantined: int
    reasons: tuple[tuple[str, int], ...]
    counted: dict[str, int]
    last_day: date | None = None


@dataclass(frozen=True)
class Validation:
    """One validation under way: its inputs, its rules, and the verdicts on rows so far."""

    raw: RawTable
    rules: TableRules
    setting: Setting
    rows_a_bucket: int
    verdicts: list[pl.DataFrame] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    @property
    def canonical(self) -> pl.Schema:
        """Schema of the canonical table."""
        return empty_frame(self.raw.table).schema


def validate_table(
    study: Study,
    lake: Lake,
    table: str,
    *,
    rows_a_bucket: int = ROWS_A_BUCKET,
) -> ValidationReport:
    """Write `<table>` (sorted by patient, date, source order) and `<table>_quarantine`.

    `cohort_table` also writes `cohort_feature`. What is in the future, or stands for no date, is
    told by the raw tables that are in the lake (`calendar_of`). Event tables need the table
    `patient`; MissingTableError says so. A supplied cohort table needs the columns its rules read,
    or MissingCohortColumnError. SourceError when patients' ids have lost digits, or when dates must
    have been shifted and the study does not say so. RowAccountError when a row got lost or doubled.
    """
    rules = TABLE_RULES[table]
    calendar = calendar_of(study, lake) if rules.dated else Calendar()
    validation = Validation(
        raw=RawTable(lake, table),
        rules=rules,
        setting=Setting(CodeSystems.of(study), calendar, of_procedures=table == "procedure"),
        rows_a_bucket=rows_a_bucket,
    )
    if table == "cohort_table":
        assert_cohort_columns(study, validation.raw)
    with lake.staging() as staging:
        kept = _write_canonical(validation, staging)
        quarantined = _write_quarantine(validation, staging)
        report = _report(validation, kept, quarantined)
        lake.commit(f"{table}_quarantine", staging / f"{table}_quarantine.parquet")
        lake.commit(table, staging / f"{table}.parquet")
    if table == "cohort_table":
        known = getattr(study.source, "cohort_features", ())
        write_cohort_features(validation.raw, known)
    return report


def _write_canonical(validation: Validation, staging: Path) -> int:
    buckets = _fill_buckets(validation, staging)
    with ParquetSink(staging / f"{validation.raw.table}.parquet", validation.canonical) as sink:
        for bucket in buckets.frames():
            sink.write(_judge_bucket(bucket, validation))
    return sink.rows


def _fill_buckets(validation: Validation, staging: Path) -> Buckets:
    raw, rules = validation.raw, validation.rules
    buckets = bucket_count(raw.rows, validation.rows_a_bucket)
    keys = (batch.get_column(rules.key).str.strip_chars() for batch in _key_batches(raw, rules))
    cuts = cut_points(keys, raw.rows, buckets)
    internal = {POSITION: pl.Int64(), **dict.fromkeys(_HASH, pl.UInt64())}
    canonical = {name: kind for name, kind in validation.canonical.items() if name != "source_row"}
    with Buckets(staging, pl.Schema({**canonical, **internal}), rules.key, cuts) as filled:
        for frame in raw.batches():
            filled.add(_judge_rows(frame, validation))
    return filled


def _key_batches(raw: RawTable, rules: TableRules) -> Iterator[pl.DataFrame]:
    return raw.batches([rules.key])


def _judge_rows(frame: pl.DataFrame, validation: Validation) -> pl.DataFrame:
    """Return the rows that break no rule of their own, canonical, and note the others."""
    reading = validation.rules.reading(validation.setting)
    if "patient_id" in reading.cells:
        assert_ids_are_whole(frame)
    text = frame.select(validation.raw.text_columns)
    hashes = [text.hash_rows(seed=seed).alias(name) for seed, name in enumerate(_HASH, start=1)]
    judged = read(frame, reading, validation.setting).with_columns(
        frame.get_column(POSITION), *hashes
    )
    passed = _passed(judged, reading.rules, validation)
    validation.counted.update({name: passed.get_column(name).sum() for name in reading.counted})
    return passed.drop(*reading.counted)


def assert_ids_are_whole(frame: pl.DataFrame) -> None:
    """Raise SourceError, with file and line, when an id of a raw table has lost its last digits."""
    lost = values.ids_with_lost_digits(frame, "patient_id")
    if not lost.is_empty():
        file, line = lost.row(0, named=True)["source_file"], lost.item(0, "source_row")
        raise SourceError(
            f"{file}, line {line}: the patient id is in scientific notation or came through a "
            "floating-point number, so its last digits are lost and people would be merged; export "
            "ids as text, and do not save the file from a spreadsheet"
        )


def _judge_bucket(bucket: pl.DataFrame, validation: Validation) -> pl.DataFrame:
    """Return the rows of a bucket that also agree with patients and other rows, sorted."""
    rows = bucket.sort(POSITION)
    rules: list[Rule] = []
    if validation.rules.of_patients:
        rows = _with_patients(rows, validation.raw.lake)
        rules += _patient_rules(validation.raw.lake)
    rules.append(Rule(Reason.DUPLICATE_ROW, ~pl.struct(_HASH).is_first_distinct()))
    if validation.rules.once:
        once = validation.rules.once
        rules.append(Rule(Reason.CONFLICTING_ROW, ~pl.struct(once).is_first_distinct(), once[-1]))
    judged = rows.with_columns(first_broken(rules).alias("broken"))
    return (
        _passed(judged, rules, validation)
        .with_columns(pl.col(POSITION).alias("source_row"))
        .sort(*validation.rules.order, POSITION)
        .select(validation.canonical.names())
    )


def _passed(judged: pl.DataFrame, rules: list[Rule], validation: Validation) -> pl.DataFrame:
    refused = judged.filter(pl.col("broken").is_not_null())
    if not refused.is_empty():
        verdict = explained(pl.col("broken"), rules)
        validation.verdicts.append(refused.select(POSITION, *verdict))
    return judged.filter(pl.col("broken").is_null()).drop("broken")


def _with_patients(rows: pl.DataFrame, lake: Lake) -> pl.DataFrame:
    ids = rows.get_column("patient_id")
    patients = (
        lake.scan("patient")
        .filter(pl.col("patient_id").is_between(pl.lit(ids.min()), pl.lit(ids.max())))
        .select(
            "patient_id",
            pl.col("year_of_birth").alias("__birth"),
            pl.col("death_date").alias("__death"),
            pl.lit(value=True).alias("__known"),
        )
        .collect()
    )
    return rows.join(patients, on="patient_id", how="left", maintain_order="left")


def _patient_rules(lake: Lake) -> list[Rule]:
    stamp = lake.stamp("patient")
    day = pl.col("date")
    rules = [
        Rule(Reason.BEFORE_BIRTH, day.dt.year() < pl.col("__birth"), "date"),
        Rule(
            Reason.AFTER_DEATH,
            day > pl.col("__death") + pl.duration(days=DAYS_AFTER_DEATH),
            "date",
        ),
    ]
    if stamp is None or stamp.rows == 0:
        return rules
    return [Rule(Reason.UNKNOWN_PATIENT, pl.col("__known").is_null(), "patient_id"), *rules]


def _write_quarantine(validation: Validation, staging: Path) -> int:
    raw = validation.raw
    schema = empty_frame(f"{raw.table}_quarantine").schema
    with ParquetSink(staging / f"{raw.table}_quarantine.parquet", schema) as sink:
        sink.write(raw.malformed().with_columns(pl.lit(None, pl.String).alias("column")))
        if validation.verdicts:
            verdicts = pl.concat(validation.verdicts)
            record = pl.concat_str(pl.col(raw.text_columns).fill_null(""), separator=",")
            for batch in raw.batches():
                refused = batch.join(verdicts, on=POSITION, how="inner", maintain_order="left")
                sink.write(refused.with_columns(record.alias("record")))
    return sink.rows


def _report(validation: Validation, kept: int, quarantined: int) -> ValidationReport:
    malformed = validation.raw.malformed().get_column("reason").to_list()
    reasons = Counter(malformed)
    for verdicts in validation.verdicts:
        reasons.update(verdicts.get_column("reason").to_list())
    rows_in = validation.raw.rows + len(malformed)
    if rows_in != kept + quarantined or quarantined != reasons.total():
        raise RowAccountError(
            f"table {validation.raw.table}: {rows_in} rows in, {kept} kept, {quarantined} "
            f"quarantined for {reasons.total()} reasons; report this as a defect"
        )
    return ValidationReport(
        table=validation.raw.table,
        rows_in=rows_in,
        rows_kept=kept,
        rows_quarantined=quarantined,
        reasons=tuple(sorted(reasons.items())),
        counted=dict(validation.counted),
        last_day=validation.setting.calendar.last_day,
    )
