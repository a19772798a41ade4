"""A small site without a fault, and means to plant one in a table of its lake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from learn_assets.lake import Lake
from learn_assets.schemas.registry import empty_frame

PATIENTS = 240
YEARS = range(2015, 2020)
EVENTS = ("diagnosis", "procedure", "medication", "lab_result")
_CODES = {
    "diagnosis": ("ICD-10-CM", "I10"),
    "procedure": ("HCPCS", "G0008"),
    "medication": ("RxNorm", "1001"),
    "lab_result": ("LOINC", "718-7"),
}


@dataclass(frozen=True)
class MadeSite:
    """A lake whose tables a test may change."""

    lake: Lake

    def change(self, table: str, **columns: pl.Expr) -> None:
        """Write a table again with these columns changed; types stay."""
        frame = self.lake.read(table)
        self.lake.write(
            table,
            frame.with_columns(
                expression.cast(frame.schema[name]).alias(name)
                for name, expression in columns.items()
            ),
        )

    def keep(self, table: str, rows: pl.Expr) -> None:
        """Write a table again without the other rows."""
        self.lake.write(table, self.lake.read(table).filter(rows))

    def refuse(self, table: str, reasons: Sequence[str]) -> None:
        """Add a refused row a reason to the quarantine of a table."""
        refused = pl.DataFrame(
            {
                "source_file": f"{table}.csv",
                "source_row": range(1, len(reasons) + 1),
                "column": None,
                "reason": reasons,
                "record": "SECRET",
            },
            schema=empty_frame(f"{table}_quarantine").schema,
        )
        self.lake.write(f"{table}_quarantine", refused)


def made_site(lake: Lake) -> MadeSite:
    """Fill a lake: every patient has a record of each kind in every month of five years."""
    patient = pl.DataFrame({"number": range(PATIENTS)}).select(
        patient_id=_id(pl.col("number")),
        sex=pl.when(pl.col("number") % 2 == 0).then(pl.lit("F")).otherwise(pl.lit("M")),
        year_of_birth=(1940 + pl.col("number") % 60).cast(pl.Int32),
        race=pl.lit("White"),
        ethnicity=pl.lit(None, pl.String),
        death_date=pl.lit(None, pl.Date),
        source_row=pl.col("number").cast(pl.Int64) + 1,
    )
    lake.write("patient", patient)
    for table in EVENTS:
        lake.write(table, _events(table))
    for table in ("patient", *EVENTS):
        lake.write(f"{table}_quarantine", empty_frame(f"{table}_quarantine"))
    drugs = lake.read("medication").with_columns(rxcui=pl.col("code"), drug_name=pl.lit("a drug"))
    lake.write("normalized_medication", drugs.select(empty_frame("normalized_medication").columns))
    names = pl.DataFrame(
        {
            "rxcui": ["1001", "1002"],
            "name": ["a drug", "a device"],
            "ingredient_rxcui": ["1", None],
            "ingredient_name": ["an ingredient", None],
        }
    )
    lake.write("rxnorm_name", names)
    return MadeSite(lake)


def _events(table: str) -> pl.DataFrame:
    days = [date(year, month, 2) for year in YEARS for month in range(1, 13)]
    system, code = _CODES[table]
    one = pl.DataFrame({"number": range(PATIENTS)}).join(pl.DataFrame({"date": days}), how="cross")
    delivers = (table == "diagnosis") & (pl.col("number") % 4 == 0) & (pl.col("date") == days[0])
    rows = one.select(
        patient_id=_id(pl.col("number")),
        date=pl.col("date") + pl.duration(days=pl.col("number") % 25),
        code_system=pl.lit(system),
        # Only women deliver.
        code=pl.when(delivers).then(pl.lit("O80")).otherwise(pl.lit(code)),
        encounter_id=pl.lit(None, pl.String),
        source_row=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
    )
    if table == "lab_result":
        nothing = pl.lit(None, pl.String)
        rows = rows.with_columns(
            value_number=pl.lit(13.0), value_text=nothing, unit=pl.lit("g/dL"),
            said_number=pl.lit(13.0), comparator=nothing, word=nothing,
        )  # fmt: skip
    return rows.select(empty_frame(table).columns)


def _id(number: pl.Expr) -> pl.Expr:
    return pl.format("P{}", number.cast(pl.String).str.zfill(4))
