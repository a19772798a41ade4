"""Content: what the kept records of a site say as a whole - patients, codes, drugs, results.

What belongs here: aggregates over canonical tables. What they hold in memory grows with patients,
codes and months, never with records.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from learn_assets.lake import Lake
from learn_assets.quality.codes import has_form, sex_of
from learn_assets.quality.counting import records_by, records_by_sex
from learn_assets.quality.measure import Measure, nothing, share
from learn_assets.study.expectations import EVENT_TABLES

OLDEST = 110
DAYS_A_YEAR = 365.25
RECORDS = pl.col("records")
_DRUG_SYSTEMS = ("RxNorm", "NDC")


def patient_measures(lake: Lake, last_year: int | None, least: int) -> dict[str, Measure]:
    """Return measures of the patient table; ages are those at death, or in `last_year`."""
    patient = lake.scan("patient")
    born = pl.col("year_of_birth")
    age = pl.col("death_date").dt.year().fill_null(pl.lit(last_year, pl.Int32)) - born
    counts = _counts(
        patient,
        patients=pl.len(),
        sex=pl.col("sex").is_in(["F", "M"]).sum(),
        born=born.count(),
        race=pl.col("race").count(),
        aged=age.count(),
        plausible=age.is_between(0, OLDEST).sum(),
    )
    years = patient.drop_nulls("year_of_birth").group_by("year_of_birth").len()
    frequent = _counts(years, frequent=pl.col("len").max())["frequent"]
    diagnosed = lake.scan("diagnosis").select("patient_id").unique()
    with_diagnosis = _counts(patient.join(diagnosed, on="patient_id", how="semi"), n=pl.len())["n"]
    everyone = counts["patients"]
    return {
        "patient.known_sex": share(counts["sex"], everyone, least=least),
        "patient.known_year_of_birth": share(counts["born"], everyone, least=least),
        "patient.known_race": share(counts["race"], everyone, least=least),
        "patient.with_diagnosis": share(with_diagnosis, everyone, least=least),
        "patient.plausible_age": share(counts["plausible"], counts["aged"], least=least),
        "patient.most_frequent_birth_year": share(frequent, counts["born"], least=least),
    }


def record_measures(lake: Lake, least: int) -> dict[str, Measure]:
    """Return measures that every table of coded records has."""
    years = _patient_years(lake)
    found: dict[str, Measure] = {}
    for table in EVENT_TABLES:
        day, formed = pl.col("date").dt, has_form(pl.col("code_system"), pl.col("code"))
        new_year = ((day.month() == 1) & (day.day() == 1)).sum()
        counts = {
            **_counts(lake.scan(table), records=pl.len(), new_year=new_year),
            **_counts(
                records_by(lake, table, "code_system", "code").lazy(),
                judged=RECORDS.filter(formed.is_not_null()).sum(),
                formed=RECORDS.filter(formed).sum(),
            ),
        }
        records = counts["records"]
        found |= {
            f"{table}.code_form": share(counts["formed"], counts["judged"], least=least),
            f"{table}.first_of_january": share(counts["new_year"], records, least=least),
            f"{table}.a_patient_year": nothing("patients are followed for less than a year")
            if years < 1
            else Measure(records / years, part=records),
        }
    return found


def diagnosis_measures(lake: Lake, least: int) -> dict[str, Measure]:
    """Return how many diagnoses of one sex alone are of a patient of that sex."""
    expected = sex_of(pl.col("code_system"), pl.col("code"))
    judged = expected.is_not_null() & (pl.col("sex") != "U")
    counts = _counts(
        records_by_sex(lake, "diagnosis", "code_system", "code").lazy().filter(judged),
        records=RECORDS.sum(),
        right=RECORDS.filter(pl.col("sex") == expected).sum(),
    )
    return {"diagnosis.plausible_sex": share(counts["right"], counts["records"], least=least)}


def medication_measures(lake: Lake, least: int) -> dict[str, Measure]:
    """Return how many drug records have a concept and an ingredient of RxNorm."""
    drugs = records_by(lake, "normalized_medication", "code_system", "rxcui").lazy()
    named = lake.scan("rxnorm_name").select("rxcui", "ingredient_rxcui")
    counts = _counts(
        drugs.filter(pl.col("code_system").is_in(_DRUG_SYSTEMS)).join(
            named, on="rxcui", how="left"
        ),
        records=RECORDS.sum(),
        concept=RECORDS.filter(pl.col("rxcui").is_not_null()).sum(),
        ingredient=RECORDS.filter(pl.col("ingredient_rxcui").is_not_null()).sum(),
    )
    known = _counts(named, ingredients=pl.col("ingredient_rxcui").count())["ingredients"]
    records = counts["records"]
    return {
        "medication.with_rxnorm": share(counts["concept"], records, least=least),
        "medication.with_ingredient": share(counts["ingredient"], records, least=least)
        if known
        else nothing("no RxNorm release with ingredients (RXNREL) is in use"),
    }


def lab_result_measures(lake: Lake, least: int) -> dict[str, Measure]:
    """Return how complete and consistent results, numbers and units are."""
    number = pl.col("value_number")
    counts = _counts(
        lake.scan("lab_result"),
        results=pl.len(),
        valued=(number.is_not_null() | pl.col("value_text").is_not_null()).sum(),
        numbers=number.count(),
        with_unit=(number.is_not_null() & pl.col("unit").is_not_null()).sum(),
        not_negative=(number >= 0).sum(),
    )
    main = _counts(_units(lake), main=RECORDS.sum())["main"]
    numbers = counts["numbers"]
    return {
        "lab_result.with_value": share(counts["valued"], counts["results"], least=least),
        "lab_result.with_unit": share(counts["with_unit"], numbers, least=least),
        "lab_result.not_negative": share(counts["not_negative"], numbers, least=least),
        "lab_result.main_unit": share(main, counts["with_unit"], least=least),
    }


def _units(lake: Lake) -> pl.LazyFrame:
    """Return the numbers that are in the most frequent unit of each code."""
    code = ("code_system", "code")
    return (
        records_by(lake, "lab_result", *code, "unit", where="value_number is not null")
        .lazy()
        .drop_nulls("unit")
        .group_by(code)
        .agg(RECORDS.max())
    )


def _patient_years(lake: Lake) -> float:
    day = pl.col("date")
    spans = (
        pl.concat([lake.scan(table).select("patient_id", "date") for table in EVENT_TABLES])
        .group_by("patient_id")
        .agg((day.max() - day.min()).dt.total_days().alias("days"))
    )
    return _counts(spans, days=pl.col("days").sum())["days"] / DAYS_A_YEAR


def _counts(frame: pl.LazyFrame, **counts: pl.Expr) -> Mapping[str, int]:
    """Return aggregates of a frame as whole numbers; nothing to count is 0."""
    row = frame.select(**counts).collect(engine="streaming").row(0, named=True)
    return {name: int(value or 0) for name, value in row.items()}
