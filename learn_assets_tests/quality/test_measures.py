"""Measures equal what loops over rows count, on tables with every kind of gap and oddity."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.quality.assessment import measured
from learn_assets.quality.codes import FORMS, OF_ONE_SEX
from learn_assets.quality.counting import records_by
from learn_assets.quality.months import MonthlyRecords
from learn_assets.schemas.registry import empty_frame
from learn_assets_tests.quality.made import EVENTS

MINIMUM = 5
CODES = {
    "diagnosis": [
        *(
            ("ICD-10-CM", "O80"),
            ("ICD-10-CM", "n40.1"),
            ("ICD-10-CM", "I10"),
            ("ICD-9-CM", "710.0"),
        ),
        *(("ICD-9-CM", "650"), ("ICD-10-CM", "not a code"), ("Local", "whatever")),
    ],
    "procedure": [("CPT", "99213"), ("HCPCS", "G0008"), ("ICD-10-PCS", "0TY00Z0"), ("CPT", "x")],
    "medication": [("RxNorm", "1001"), ("NDC", "00071-0155-23"), ("NDC", "71015523"), ("CVX", "3")],
    "lab_result": [("LOINC", "718-7"), ("LOINC", "2160-0"), ("LOINC", "7187")],
}
REASONS = ["future_date", "duplicate_row", "missing_code", "no_such_reason", "bad_encoding"]


def filled(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    numbered = [{"source_row": number, **row} for number, row in enumerate(rows, start=1)]
    schema = empty_frame(table).schema
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in numbered], schema)


def odd_site(lake: Lake, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Fill a lake at random and return its rows."""
    random = np.random.default_rng(seed)
    patients = [
        {
            "patient_id": f"P{number}",
            "sex": str(random.choice(["F", "M", "U"], p=[0.5, 0.4, 0.1])),
            "year_of_birth": None if random.random() < 0.1 else int(random.integers(1880, 2030)),
            "race": None if random.random() < 0.5 else "White",
            "death_date": date(2014, 5, 31) if random.random() < 0.2 else None,
        }
        for number in range(60)
    ]
    tables: dict[str, list[dict[str, Any]]] = {"patient": patients}
    for table, codes in CODES.items():
        tables[table] = []
        for _ in range(600):
            system, code = codes[random.integers(len(codes))]
            # A skewed calendar, so that whole months stay empty.
            day = date(2012, 1, 1) + timedelta(days=int(1500 * random.beta(3, 2)))
            tables[table].append(
                {
                    "patient_id": f"P{random.integers(66)}",
                    "date": date(day.year, 1, 1) if random.random() < 0.05 else day,
                    "code_system": system,
                    "code": code,
                    "value_number": [None, -1.0, 0.0, 13.5][random.integers(4)],
                    "value_text": [None, "positive"][random.integers(2)],
                    "unit": [None, "g/dL", "g/L"][random.integers(3)],
                }
            )
    for table in ("patient", *EVENTS):
        lake.write(table, filled(table, tables[table]))
        reasons = random.choice(REASONS, size=25).tolist()
        tables[f"{table}_quarantine"] = [{"reason": reason} for reason in reasons]
        quarantine = [{"source_file": "f", "reason": reason} for reason in reasons]
        lake.write(f"{table}_quarantine", filled(f"{table}_quarantine", quarantine))
    for row in tables["medication"]:
        row["rxcui"] = [None, "1", "2", "3"][random.integers(4)]
    lake.write("normalized_medication", filled("normalized_medication", tables["medication"]))
    names = [("1", "10"), ("2", None), ("4", "11")]
    tables["rxnorm_name"] = [{"rxcui": a, "name": "n", "ingredient_rxcui": b} for a, b in names]
    lake.write(
        "rxnorm_name",
        pl.DataFrame(tables["rxnorm_name"]).with_columns(ingredient_name=pl.lit(None, pl.String)),
    )
    return tables


def naive_shares(tables: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Return shares and rates, counted row by row."""
    patients = tables["patient"]
    sexes = {row["patient_id"]: row["sex"] for row in patients}
    found: dict[str, list[bool]] = {
        "patient.known_sex": [row["sex"] != "U" for row in patients],
        "patient.known_year_of_birth": [row["year_of_birth"] is not None for row in patients],
        "patient.known_race": [row["race"] is not None for row in patients],
    }
    diagnosed = {row["patient_id"] for row in tables["diagnosis"]}
    found["patient.with_diagnosis"] = [row["patient_id"] in diagnosed for row in patients]
    born = [row for row in patients if row["year_of_birth"] is not None]
    last = max(well_filled(tables[table])[1] for table in EVENTS) // 12
    ages = [
        (row["death_date"].year if row["death_date"] else last) - row["year_of_birth"]
        for row in born
    ]
    found["patient.plausible_age"] = [0 <= age <= 110 for age in ages]
    days: dict[str, list[date]] = {}
    for table in EVENTS:
        rows = tables[table]
        for row in rows:
            days.setdefault(row["patient_id"], []).append(row["date"])
        formed = [row for row in rows if row["code_system"] in FORMS]
        found[f"{table}.code_form"] = [
            bool(re.search(FORMS[row["code_system"]], row["code"].upper())) for row in formed
        ]
        found[f"{table}.first_of_january"] = [
            (row["date"].month, row["date"].day) == (1, 1) for row in rows
        ]
        reasons = [row["reason"] for row in tables[f"{table}_quarantine"]] + ["kept"] * len(rows)
        found[f"{table}.future_dates"] = [reason == "future_date" for reason in reasons]
        found[f"{table}.malformed_rows"] = [reason == "bad_encoding" for reason in reasons]
    found["diagnosis.plausible_sex"] = [
        sex == sexes[row["patient_id"]]
        for row in tables["diagnosis"]
        for (system, sex), codes in OF_ONE_SEX.items()
        if row["code_system"] == system and re.search(codes, row["code"].upper())
        if sexes.get(row["patient_id"], "U") != "U"
    ]
    drugs = [row for row in tables["medication"] if row["code_system"] in ("RxNorm", "NDC")]
    found["medication.with_rxnorm"] = [row["rxcui"] is not None for row in drugs]
    found["medication.with_ingredient"] = [row["rxcui"] == "1" for row in drugs]
    results = tables["lab_result"]
    numbers = [row for row in results if row["value_number"] is not None]
    found["lab_result.with_value"] = [
        row["value_number"] is not None or row["value_text"] is not None for row in results
    ]
    found["lab_result.with_unit"] = [row["unit"] is not None for row in numbers]
    found["lab_result.not_negative"] = [row["value_number"] >= 0 for row in numbers]
    units: dict[str, Counter[str]] = {}
    for row in numbers:
        if row["unit"] is not None:
            units.setdefault(row["code"], Counter())[row["unit"]] += 1
    main = sum(max(counted.values()) for counted in units.values())
    years = sum((max(dates) - min(dates)).days for dates in days.values()) / 365.25
    return {
        **{name: sum(holds) / len(holds) for name, holds in found.items()},
        "patient.most_frequent_birth_year": max(
            Counter(row["year_of_birth"] for row in born).values()
        ) / len(born),
        "lab_result.main_unit": main / sum(counted.total() for counted in units.values()),
        **{f"{table}.a_patient_year": len(tables[table]) / years for table in EVENTS},
    }  # fmt: skip


def well_filled(rows: list[dict[str, Any]]) -> tuple[int, int]:
    """Return the first and last month with enough records."""
    counts = Counter(row["date"].year * 12 + row["date"].month - 1 for row in rows)
    least = max(MINIMUM, 0.1 * float(np.median(list(counts.values()))))
    filled_months = [month for month, records in counts.items() if records >= least]
    return min(filled_months), max(filled_months)


@pytest.mark.parametrize("seed", range(5))
def test_measures_are_what_loops_count(lake: Lake, seed: int) -> None:
    tables = odd_site(lake, seed)
    found = measured(lake, MINIMUM)
    naive = naive_shares(tables)
    assert {name: found[name].value for name in naive} == pytest.approx(naive)
    for table in EVENTS:
        first, last = well_filled(tables[table])
        assert found[f"{table}.span_years"].value == pytest.approx((last - first + 1) / 12)
    assert len(naive) > 30


def naive_missing(records: list[int]) -> list[int]:
    """Return the months with under a quarter of the usual, and fewer than chance makes."""
    missing = []
    for place, count in enumerate(records):
        sides = [records[:place][-12:], records[place + 1 :][:12]]
        if any(len(side) < 6 for side in sides):
            continue
        usual = [float(np.percentile(side, 75)) for side in sides]
        others = sorted(sides[0] + sides[1])
        middle = statistics.median(others)
        scatter = 1.4826 * statistics.median(abs(other - middle) for other in others)
        by_chance = middle - 4 * max(scatter, math.sqrt(middle))
        if all(count < 0.25 * value for value in usual) and count < by_chance:
            missing.append(place)
    return missing


@pytest.mark.parametrize("seed", range(20))
def test_missing_months_are_those_of_the_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    records = random.poisson(np.linspace(20, 400, 90)) * (random.random(90) > 0.1)
    listed = [int(value) for value in records]
    found = MonthlyRecords(2000 * 12, tuple(listed)).missing()
    names = [f"{2000 + place // 12}-{place % 12 + 1:02}" for place in naive_missing(listed)]
    assert found is not None
    assert list(found) == names
    assert names


@pytest.mark.parametrize("seed", range(30))
def test_chance_alone_makes_no_gap(seed: int) -> None:
    # Visits of ten records each scatter more than single records do.
    random = np.random.default_rng(seed)
    visits = random.poisson(np.linspace(2, 40, 240))
    records = [int(random.poisson(10, size).sum()) for size in visits]
    assert MonthlyRecords(0, tuple(records)).missing() == ()


def test_a_code_looks_like_its_system() -> None:
    good = {
        "ICD-10-CM": ["M32.14", "M3214", "O80", "U07.1", "C7A.00", "S72.001A"],
        "ICD-9-CM": ["710.0", "7100", "V22.1", "E880.9", "583"],
        "ICD-10-PCS": ["0TY00Z0"],
        "ICD-9-PCS": ["55.69", "5569", "39.9"],
        "CPT": ["99213", "0001F"],
        "HCPCS": ["G0008", "99213", "J1745"],
        "RxNorm": ["1001", "9000001"],
        "NDC": ["00071-0155-23", "0071-0155-23", "00071015523"],
        "LOINC": ["718-7", "42254-3"],
        "SNOMED": ["55464009"],
    }
    bad = {
        "ICD-10-CM": ["710.0", "99213", "M3", ""],
        "ICD-9-CM": ["M32.14", "992131", "0TY00Z0"],
        "ICD-10-PCS": ["OTY00Z0", "99213"],
        "ICD-9-PCS": ["0TY00Z0", "M32.1"],
        "CPT": ["M32.14", "718-7"],
        "HCPCS": ["M32.14", "710.0"],
        "RxNorm": ["00071-0155-23", "drug"],
        "NDC": ["1001", "M32.14"],
        "LOINC": ["7187", "99213"],
        "SNOMED": ["123", "M32.14"],
    }
    assert set(good) == set(bad) == set(FORMS)
    for system, codes in good.items():
        assert [code for code in codes if not re.search(FORMS[system], code)] == [], system
        assert [code for code in bad[system] if re.search(FORMS[system], code)] == [], system


def test_records_are_counted_in_the_lake_itself_whatever_its_name(tmp_path: Path) -> None:
    for name, codes in (("lake 2", ["I10"]), ("lake [v2]", ["M32.10"])):
        Lake(tmp_path / name).write("diagnosis", pl.DataFrame({"code": codes}))
    assert records_by(Lake(tmp_path / "lake [v2]"), "diagnosis", "code").rows() == [("M32.10", 1)]
