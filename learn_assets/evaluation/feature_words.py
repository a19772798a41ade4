"""Feature words: what the names of count and laboratory features say in words."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

_DOTTED = ("ICD-10-CM", "ICD-9-CM", "ICD-9-PCS", "ICD-10-PCS")
_LAST = "last-"
# Tables with descriptions of codes, the one that counts most first.
DESCRIPTIONS = ("code_description", "packaged_description", "terminology")


def feature_words(names: Iterable[str], *descriptions: pl.DataFrame) -> dict[str, str]:
    """Return the description of each feature's code, where one of the tables has it.

    names: `kind|code system|code`, with further parts after `|`. descriptions: tables with
    code_system, code and description, the one that counts most first; codes are compared in upper
    case, ICD without dot. Look-backs say so. A name without a description has no entry.
    """
    wanted = pl.DataFrame({"name": sorted(set(names))}, schema={"name": pl.String})
    parts = pl.col("name").str.split("|")
    wanted = wanted.select(
        "name",
        parts.list.get(1, null_on_oob=True).alias("code_system"),
        parts.list.get(2, null_on_oob=True).str.to_uppercase().alias("code"),
        parts.list.last().alias("last"),
    ).drop_nulls("code")
    found: dict[str, str] = {}
    for table in reversed(descriptions):
        known = table.select(
            "code_system",
            pl.when(pl.col("code_system").is_in(_DOTTED))
            .then(pl.col("code").str.replace_all(".", "", literal=True))
            .otherwise(pl.col("code"))
            .str.to_uppercase()
            .alias("code"),
            "description",
        ).unique(["code_system", "code"], keep="first", maintain_order=True)
        joined = wanted.join(known, on=["code_system", "code"])
        found |= {row["name"]: _worded(row) for row in joined.iter_rows(named=True)}
    return found


def _worded(row: dict[str, str]) -> str:
    if row["last"].startswith(_LAST):
        return f"{row['description']}, last {row['last'].removeprefix(_LAST)} days"
    return row["description"]
