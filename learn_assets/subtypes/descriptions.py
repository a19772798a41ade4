"""Descriptions: the text of each diagnosis code, its own or of the closest code above it.

What belongs here: reading a code file, looking codes up and saying how many mentions have a text.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from learn_assets.sources.files import SourceError

_LINE = re.compile(r"^\s*([A-Za-z]\d[0-9A-Za-z.]{1,6})\s+(\S.*?)\s*$")
_CATEGORY = 3
TITLES = pl.Schema({"code": pl.String(), "description": pl.String()})


def code_titles(code_file: Path | None) -> pl.DataFrame:
    """Return code (no dot, upper case) and description, one row a code, sorted.

    The packaged ICD-10-CM titles (release 2024 and the categories above), and before them those of
    a CMS text file when one is given. SourceError names the line of the file that is no
    `code title`.
    """
    from learn_assets.vocabulary.icd import packaged_descriptions

    packaged = packaged_descriptions().filter(pl.col("code_system") == "ICD-10-CM")
    titles = packaged.select("code", "description")
    if code_file is not None:
        titles = pl.concat([read_code_file(code_file), titles])
    return titles.unique("code", keep="first", maintain_order=True).sort("code")


def read_code_file(path: Path) -> pl.DataFrame:
    """Return code and description of a CMS file `icd10cm-codes-<month>-<year>.txt`.

    UTF-8, with or without byte order mark, or Latin-1. SourceError when it is absent or a line is
    not a code, white space and a text.
    """
    if not path.is_file():
        raise SourceError(f"{path} does not exist; correct `descriptions.code_file`")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("iso-8859-1")
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None:
            raise SourceError(
                f"{path.name}, line {number}: not a code, white space and a text; "
                "give the CMS file of codes as it was published"
            )
        rows.append((match[1].replace(".", "").upper(), match[2]))
    return pl.DataFrame(rows, schema=TITLES, orient="row")


def diagnosis_mentions(discharges: pl.LazyFrame) -> pl.DataFrame:
    """Return code and mentions (how often admissions carry it), sorted by code.

    discharges: a lazy frame with the column `diagnoses`, a list of codes.
    """
    codes = discharges.select(pl.col("diagnoses").list.explode(empty_as_null=False).alias("code"))
    return (
        codes.group_by("code").agg(pl.len().cast(pl.Int64).alias("mentions")).sort("code").collect()
    )


def describe_codes(mentions: pl.DataFrame, titles: pl.DataFrame) -> pl.DataFrame:
    """Return code, description, source (exact, parent or none) and mentions, in the same order.

    A code without a title of its own takes that of the longest code it begins with, down to its
    category of three characters.
    """
    known = dict(titles.select("code", "description").iter_rows())
    found = [_closest(code, known) for code in mentions["code"].to_list()]
    return mentions.select(
        "code",
        pl.Series("description", [text for text, _ in found], pl.String),
        pl.Series("source", [source for _, source in found], pl.String),
        "mentions",
    )


def _closest(code: str, known: dict[str, str]) -> tuple[str | None, str]:
    if code in known:
        return known[code], "exact"
    above = (code[:length] for length in range(len(code) - 1, _CATEGORY - 1, -1))
    parent = next((shorter for shorter in above if shorter in known), None)
    return (None, "none") if parent is None else (known[parent], "parent")


def mention_coverage(described: pl.DataFrame) -> float:
    """Return the share of mentions with a description; 1 when there is none to describe."""
    total = int(described["mentions"].sum())
    with_text = int(described.filter(pl.col("source") != "none")["mentions"].sum())
    return with_text / total if total else 1.0
