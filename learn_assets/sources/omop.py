"""OMOP CDM 5.3 and 5.4: its event tables and vocabulary as the raw tables of the lake.

A record is coded by its standard concept, and by its source concept where the standard one is 0;
names of vocabularies become the spellings of TriNetX where there is one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError
from learn_assets.sources.omop_database import OmopDatabase, OmopTable, id_of, open_omop, text_of
from learn_assets.sources.raw_tables import RawSinks, raw_sinks
from learn_assets.sources.reports import IngestReport
from learn_assets.study import OmopSource

VOCABULARIES: dict[str, str] = {
    "ICD10CM": "ICD-10-CM",
    "ICD9CM": "ICD-9-CM",
    "ICD10PCS": "ICD-10-PCS",
    "ICD9Proc": "ICD-9-PCS",
    "CPT4": "CPT",
}
# Operators of a number that is no result but a limit of it; the others leave it a result.
_LESS_THAN = {"4171756": "<", "4171754": "<="}
_GREATER_THAN = {"4172704": ">", "4171755": ">="}
_OPERATORS = {**_LESS_THAN, **_GREATER_THAN}
_SEXES = {"8532": "F", "8507": "M"}
_CONCEPT_SCHEMA = pl.Schema(
    {
        "concept": pl.String(),
        "code_system": pl.String(),
        "code": pl.String(),
        "concept_name": pl.String(),
        "domain": pl.String(),
    }
)


@dataclass(frozen=True)
class EventTable:
    """Names of the columns of an OMOP event table that mean something here."""

    name: str
    record_id: str
    date: str
    concept: str
    source_concept: str
    source_value: str
    domain: str
    measured: bool = False

    @property
    def moment(self) -> str:
        """Column of the date with its time, which some databases fill alone."""
        return self.date.replace("_date", "_datetime")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns to read, in the order of the SQL."""
        base = (self.record_id, "person_id", self.date, self.concept, self.source_concept)
        value = ("value_as_number", "value_as_string", "value_as_concept_id", "value_source_value")
        unit = ("operator_concept_id", "unit_concept_id", "unit_source_value")
        plain = (*base, self.moment, self.source_value, "visit_occurrence_id")
        return (*plain, *value, *unit) if self.measured else plain

    @property
    def concept_columns(self) -> tuple[str, ...]:
        """Columns that hold concept ids."""
        coded = (self.concept, self.source_concept)
        return (*coded, "value_as_concept_id", "unit_concept_id") if self.measured else coded


def _events(name: str, stem: str, date: str, domain: str, *, measured: bool = False) -> EventTable:
    return EventTable(
        name=name,
        record_id=f"{name}_id",
        date=date,
        concept=f"{stem}_concept_id",
        source_concept=f"{stem}_source_concept_id",
        source_value=f"{stem}_source_value",
        domain=domain,
        measured=measured,
    )


EVENT_TABLES: dict[str, tuple[EventTable, ...]] = {
    "diagnosis": (
        _events("condition_occurrence", "condition", "condition_start_date", "Condition"),
    ),
    "procedure": (_events("procedure_occurrence", "procedure", "procedure_date", "Procedure"),),
    "medication": (_events("drug_exposure", "drug", "drug_exposure_start_date", "Drug"),),
    "lab_result": (
        _events("measurement", "measurement", "measurement_date", "Meas", measured=True),
        # What is of no other domain is an observation, so any may be in it.
        _events("observation", "observation", "observation_date", "", measured=True),
    ),
}
_NEEDED = ("person", "condition_occurrence", "concept")
_EVENT_COLUMNS = (
    *("patient_id", "encounter_id", "code_system", "code", "date", "record_id"),
    *("concept_id", "source_concept_id", "source_value"),
)
_LAB_COLUMNS = (*_EVENT_COLUMNS, "value_number", "value_text", "unit")
_PATIENT_COLUMNS = ("patient_id", "sex", "race", "ethnicity", "year_of_birth", "death_date")
_CARE_SITE_OF_PERSON = {"person_id": "patient_id", "care_site_id": "care_site"}
_PERIOD = {
    "person_id": "patient_id",
    "observation_period_start_date": "start_date",
    "observation_period_end_date": "end_date",
}
_CARE_SITE_COLUMNS = tuple(_CARE_SITE_OF_PERSON.values())
_TERMINOLOGY_COLUMNS = ("code_system", "code", "description", "concept_id")


def ingest_omop(source: OmopSource, lake: Lake, table: str) -> IngestReport:
    """Write a raw table of an OMOP source; `cohort_table` is empty, since the CDM has none.

    SourceError when the source or a table or column that it must have is missing.
    """
    with lake.staging() as staging, open_omop(source, staging) as database:
        if table in EVENT_TABLES:
            return _ingest_events(database, lake, table)
        if table == "patient":
            return _ingest_persons(database, lake)
        if table == "care_site" and source.person_care_site:
            return _ingest_care_sites(database, lake)
        if table == "observation_period":
            return _ingest_periods(database, lake)
        if table == "terminology":
            return _ingest_concepts(database, lake)
    with raw_sinks(lake, table, ("patient_id",)):
        return IngestReport(table, (), 0, 0)


def resolve_concepts(
    source: OmopSource, ids: Sequence[str], *, include_descendants: bool
) -> tuple[tuple[str, str], ...]:
    """Return the distinct (code_system, code) of concepts, sorted, with descendants if asked.

    SourceError names the concept ids that the source's `concept` table does not have. Descendants
    come from `concept_ancestor`; those without a row in `concept` are on no record and left out.
    """
    # Only vocabulary tables are read here, so nothing of a patient reaches the temporary folder.
    with tempfile.TemporaryDirectory() as staging, open_omop(source, Path(staging)) as database:
        asked = sorted({int(concept) for concept in ids})
        known = _concepts(database, f"SELECT unnest({asked}::BIGINT[])")
        missing = set(map(str, asked)) - set(known.get_column("concept"))
        if missing:
            raise SourceError(
                f"concept ids not in the source's `concept` table: {sorted(missing)}; "
                "correct `code_lists` in the study"
            )
        if include_descendants:
            ancestor = database.table("concept_ancestor")
            if ancestor is None:
                raise SourceError(
                    "`include_descendants` in `code_lists` needs the table concept_ancestor, which "
                    "the OMOP source does not have; add it, or name every concept"
                )
            known = _concepts(
                database,
                f"SELECT unnest({asked}::BIGINT[]) UNION "
                f"SELECT {id_of(ancestor, 'descendant_concept_id')} FROM {ancestor.relation} "
                f"WHERE list_contains({asked}::BIGINT[], "
                f"{id_of(ancestor, 'ancestor_concept_id')})",
            )
    return tuple(sorted(set(known.select("code_system", "code").iter_rows())))


def vocabularies(source: OmopSource) -> frozenset[str]:
    """Return the code systems of the source's concepts."""
    with tempfile.TemporaryDirectory() as staging, open_omop(source, Path(staging)) as database:
        concept = database.required("concept")
        found = database.frame(
            f"SELECT DISTINCT {text_of(concept, 'vocabulary_id')} AS name FROM {concept.relation}"
        )
        names = found.get_column("name").drop_nulls()
        return frozenset(VOCABULARIES.get(name, name) for name in names)


def _ingest_events(database: OmopDatabase, lake: Lake, table: str) -> IngestReport:
    columns = _LAB_COLUMNS if table == "lab_result" else _EVENT_COLUMNS
    read: list[OmopTable] = []
    notes: list[str] = []
    with raw_sinks(lake, table, columns) as sinks:
        for events in EVENT_TABLES[table]:
            stored = _table(database, events.name)
            if stored is None:
                continue
            _demand(stored, "person_id", _present(stored, events.date, events.moment))
            _demand(stored, events.concept)
            read.append(stored)
            concepts = _concepts_of(database, stored, events)
            notes += _other_domains(database, stored, events)
            for batch in database.batches(stored, events.columns):
                _write(sinks, stored, _event_rows(batch, events, concepts))
            _write_malformed(sinks, stored)
    return _report(table, read, sinks, notes)


def _present(table: OmopTable, date: str, moment: str) -> str:
    """Return the column that dates a table: the date, or its time where there is no date."""
    return moment if date not in table.columns and moment in table.columns else date


def _other_domains(database: OmopDatabase, table: OmopTable, events: EventTable) -> Iterator[str]:
    """Yield a note when concepts of an event table are of another domain than the table."""
    used = f"SELECT {id_of(table, events.concept)} FROM {table.relation}"
    found = _concepts(database, used).get_column("domain").unique().drop_nulls().sort()
    # Some concepts are of two domains, such as `Condition/Meas`.
    other = [domain for domain in found if events.domain not in domain]
    if other:
        yield (
            f"{table.label}: some of its standard concepts are of the domain {', '.join(other)}; "
            "their records are read with the others"
        )


def _ingest_persons(database: OmopDatabase, lake: Lake) -> IngestReport:
    person = database.required("person")
    _demand(person, "person_id", _present(person, "year_of_birth", "birth_datetime"))
    columns = (
        *("person_id", "gender_concept_id", "gender_source_value", "year_of_birth"),
        "birth_datetime",
        *("race_concept_id", "race_source_value"),
        *("ethnicity_concept_id", "ethnicity_source_value"),
    )
    coded = ("race_concept_id", "ethnicity_concept_id")
    ids = " UNION ".join(f"SELECT {id_of(person, name)} FROM {person.relation}" for name in coded)
    names = _concepts(database, ids).select("concept", "concept_name")
    death = _table(database, "death")
    deaths = _death_dates(database, death)
    read = [person]
    with raw_sinks(lake, "patient", _PATIENT_COLUMNS) as sinks:
        for batch in database.batches(person, columns):
            _write(sinks, person, _person_rows(batch, names, deaths))
        _write_malformed(sinks, person)
        if death is not None:
            read.append(death)
            _write_malformed(sinks, death)
    return _report("patient", read, sinks)


def _ingest_care_sites(database: OmopDatabase, lake: Lake) -> IngestReport:
    person = database.required("person")
    _demand(person, "person_id", "care_site_id")
    with raw_sinks(lake, "care_site", _CARE_SITE_COLUMNS) as sinks:
        for batch in database.batches(person, ("person_id", "care_site_id")):
            # Who has no care site is in none, which is no mistake in the data.
            stated = batch.filter(pl.col("care_site_id") != "0")
            _write(sinks, person, stated.rename(_CARE_SITE_OF_PERSON))
    return _report("care_site", [person], sinks)


def _ingest_periods(database: OmopDatabase, lake: Lake) -> IngestReport:
    period = _table(database, "observation_period")
    read = [] if period is None else [period]
    with raw_sinks(lake, "observation_period", tuple(_PERIOD.values())) as sinks:
        for stored in read:
            _demand(stored, *_PERIOD)
            for batch in database.batches(stored, tuple(_PERIOD)):
                _write(sinks, stored, batch.rename(_PERIOD))
            _write_malformed(sinks, stored)
    return _report("observation_period", read, sinks)


def _ingest_concepts(database: OmopDatabase, lake: Lake) -> IngestReport:
    concept = database.required("concept")
    columns = ("concept_id", "concept_name", "vocabulary_id", "concept_code")
    _demand(concept, *columns)
    with raw_sinks(lake, "terminology", _TERMINOLOGY_COLUMNS) as sinks:
        for batch in database.batches(concept, columns):
            rows = batch.filter(pl.col("concept_id") != "0").select(
                pl.col("vocabulary_id").replace(VOCABULARIES).alias("code_system"),
                pl.col("concept_code").alias("code"),
                pl.col("concept_name").alias("description"),
                "concept_id",
                "source_row",
            )
            _write(sinks, concept, rows)
        _write_malformed(sinks, concept)
    return _report("terminology", [concept], sinks)


def _table(database: OmopDatabase, name: str) -> OmopTable | None:
    return database.required(name) if name in _NEEDED else database.table(name)


def _demand(table: OmopTable, *columns: str) -> None:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise SourceError(
            f"{table.label} has no column {', '.join(missing)}; is it a table of an OMOP CDM 5.3 "
            "or 5.4 with its header?"
        )


def _concepts_of(database: OmopDatabase, table: OmopTable, events: EventTable) -> pl.DataFrame:
    ids = (f"SELECT {id_of(table, name)} FROM {table.relation}" for name in events.concept_columns)
    return _concepts(database, " UNION ".join(ids))


def _concepts(database: OmopDatabase, ids: str) -> pl.DataFrame:
    """Return code system, code and name of the concepts in a query of ids, one row each."""
    concept = database.required("concept")
    frame = database.frame(
        f"SELECT {text_of(concept, 'concept_id')} AS concept, "
        f"{text_of(concept, 'vocabulary_id')} AS code_system, "
        f"{text_of(concept, 'concept_code')} AS code, "
        f"{text_of(concept, 'concept_name')} AS concept_name, "
        f"{text_of(concept, 'domain_id')} AS domain "
        f"FROM {concept.relation} WHERE {id_of(concept, 'concept_id')} IN ({ids}) "
        f"AND {id_of(concept, 'concept_id')} <> 0"
    )
    return (
        frame.cast(dict(_CONCEPT_SCHEMA.items()))
        .with_columns(pl.col("code_system").replace(VOCABULARIES))
        .unique("concept", keep="first")
        .sort("concept")
    )


def _event_rows(batch: pl.DataFrame, events: EventTable, concepts: pl.DataFrame) -> pl.DataFrame:
    standard = concepts.select("concept", "code_system", "code")
    source = standard.rename({"code_system": "source_code_system", "code": "source_code"})
    rows = batch.join(
        standard, left_on=events.concept, right_on="concept", how="left", maintain_order="left"
    ).join(
        source,
        left_on=events.source_concept,
        right_on="concept",
        how="left",
        maintain_order="left",
    )
    if events.measured:
        rows = _with_values(rows, concepts)
    visit = pl.col("visit_occurrence_id")
    return rows.with_columns(
        pl.col("person_id").alias("patient_id"),
        pl.when(visit != "0").then(visit).alias("encounter_id"),
        pl.coalesce("code_system", "source_code_system").alias("code_system"),
        pl.coalesce("code", "source_code").alias("code"),
        pl.coalesce(events.date, events.moment).alias("date"),
        # Without ids of records, equal rows are told apart by their place: they may differ in what
        # is not read here, such as a dose.
        pl.coalesce(events.record_id, pl.format("row {}", "source_row")).alias("record_id"),
        pl.col(events.concept).alias("concept_id"),
        pl.col(events.source_concept).alias("source_concept_id"),
        pl.col(events.source_value).alias("source_value"),
    )


def _with_values(rows: pl.DataFrame, concepts: pl.DataFrame) -> pl.DataFrame:
    named = concepts.select("concept", "concept_name")
    answers = named.rename({"concept_name": "answer"})
    units = named.rename({"concept_name": "unit_name"})
    return (
        rows.join(
            answers,
            left_on="value_as_concept_id",
            right_on="concept",
            how="left",
            maintain_order="left",
        )
        .join(
            units,
            left_on="unit_concept_id",
            right_on="concept",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            # A number above its limit stays the result that it was taken for; the text says more.
            _qualified(pl.col("value_as_number"), _LESS_THAN).alias("value_number"),
            pl.coalesce(
                _qualified(
                    pl.coalesce("answer", "value_as_string", "value_source_value"), _OPERATORS
                ),
                pl.col("operator_concept_id").replace_strict(_GREATER_THAN, default=None)
                + pl.col("value_as_number"),
            ).alias("value_text"),
            pl.coalesce("unit_source_value", "unit_name").alias("unit"),
        )
    )


def _qualified(written: pl.Expr, operators: Mapping[str, str]) -> pl.Expr:
    """Return a number or titer with its operator where that is one of these, as text has it."""
    sign = pl.col("operator_concept_id").replace_strict(operators, default="")
    return pl.when(written.str.contains(r"^[-.\d]")).then(sign + written).otherwise(written)


def _person_rows(batch: pl.DataFrame, names: pl.DataFrame, deaths: pl.DataFrame) -> pl.DataFrame:
    for kind in ("race", "ethnicity"):
        named = names.rename({"concept_name": kind})
        batch = batch.join(
            named,
            left_on=f"{kind}_concept_id",
            right_on="concept",
            how="left",
            maintain_order="left",
        )
    sex = pl.col("gender_concept_id").replace_strict(_SEXES, default=None)
    return batch.join(deaths, on="person_id", how="left", maintain_order="left").with_columns(
        pl.col("person_id").alias("patient_id"),
        pl.coalesce(sex, "gender_source_value").alias("sex"),
        pl.coalesce("year_of_birth", pl.col("birth_datetime").str.slice(0, 4)),
        pl.coalesce("race", "race_source_value").alias("race"),
        pl.coalesce("ethnicity", "ethnicity_source_value").alias("ethnicity"),
    )


def _death_dates(database: OmopDatabase, death: OmopTable | None) -> pl.DataFrame:
    empty = pl.DataFrame(schema={"person_id": pl.String(), "death_date": pl.String()})
    if death is None:
        return empty
    columns = ("person_id", "death_date", "death_datetime")
    batches = [
        batch.select("person_id", pl.coalesce("death_date", "death_datetime").alias("death_date"))
        for batch in database.batches(death, columns)
    ]
    return pl.concat([empty, *batches]).sort("death_date").unique("person_id", keep="first")


def _write(sinks: RawSinks, table: OmopTable, rows: pl.DataFrame) -> None:
    sinks.rows.write(rows.with_columns(pl.lit(table.label).alias("source_file")))


def _write_malformed(sinks: RawSinks, table: OmopTable) -> None:
    if table.malformed is not None:
        sinks.malformed.write(table.malformed)


def _report(
    table: str, read: Sequence[OmopTable], sinks: RawSinks, notes: Sequence[str] = ()
) -> IngestReport:
    return IngestReport(
        table=table,
        files=tuple(stored.label for stored in read),
        rows_read=sinks.rows.rows + sinks.malformed.rows,
        rows_malformed=sinks.malformed.rows,
        notes=(*notes, *(note for stored in read for note in stored.notes)),
    )
