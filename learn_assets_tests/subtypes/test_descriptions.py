"""Descriptions of diagnosis codes: exact, of the parent, or none; and where the texts come from."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from learn_assets.sources.files import SourceError
from learn_assets.subtypes.descriptions import (
    code_titles,
    describe_codes,
    diagnosis_mentions,
    mention_coverage,
    read_code_file,
)
from learn_assets.synthetic.discharge_profiles import (
    BACKGROUND,
    IN_NO_EDITION,
    ONLY_SPANISH,
    PROFILES,
)
from learn_assets.validation.contracts import check_table


@pytest.fixture(scope="module")
def packaged() -> pl.DataFrame:
    return code_titles(None)


def _described(codes: list[str], titles: pl.DataFrame) -> dict[str, tuple[str | None, str]]:
    mentions = pl.DataFrame({"code": codes, "mentions": [1] * len(codes)})
    table = describe_codes(mentions, titles)
    assert check_table(table, "diagnosis_description").passed
    return {code: (text, source) for code, text, source, _ in table.iter_rows()}


def test_a_code_without_a_text_takes_that_of_the_closest_above() -> None:
    titles = pl.DataFrame({"code": ["F12", "F121"], "description": ["Cannabis", "Cannabis abuse"]})
    assert _described(["F121", "F12199", "F1299", "F13", "F1"], titles) == {
        "F121": ("Cannabis abuse", "exact"),
        "F12199": ("Cannabis abuse", "parent"),
        "F1299": ("Cannabis", "parent"),
        "F13": (None, "none"),
        "F1": (None, "none"),
    }


def test_packaged_titles_know_the_codes_of_the_synthetic_registry(packaged: pl.DataFrame) -> None:
    profiles = [profile for of_sex in PROFILES.values() for profile in of_sex]
    known = [code for profile in profiles for code in (*profile.principal, *profile.secondary)]
    sources = {
        name: {source for _, source in _described(_plain(codes), packaged).values()}
        for name, codes in (
            ("known", (*known, *BACKGROUND)),
            ("spanish", ONLY_SPANISH),
            ("no edition", IN_NO_EDITION),
        )
    }
    assert sources == {"known": {"exact"}, "spanish": {"parent"}, "no edition": {"none"}}


def _plain(codes: tuple[str, ...]) -> list[str]:
    return sorted({code.replace(".", "") for code in codes})


def test_dotted_codes_would_find_nothing(packaged: pl.DataFrame) -> None:
    # The published look-up: dotted codes in an undotted file.
    assert _described(["F12.10"], packaged)["F12.10"][1] != "exact"


def test_a_code_file_goes_before_the_packaged_titles(tmp_path: Path) -> None:
    file = tmp_path / "icd10cm-codes-April-2026.txt"
    file.write_bytes("\ufeffF1210   Cannabis abuse, our words\r\nf12.11\tIn remission\r\n".encode())
    titles = dict(code_titles(file).iter_rows())
    assert titles["F1210"] == "Cannabis abuse, our words"
    assert titles["F1211"] == "In remission"
    assert titles["F603"] == "Borderline personality disorder"


def test_a_line_that_is_no_code_is_named(tmp_path: Path) -> None:
    file = tmp_path / "codes.txt"
    file.write_text("F1210 Cannabis abuse\nnot a code\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"codes\.txt, line 2"):
        read_code_file(file)


def test_coverage_is_of_mentions_and_not_of_codes() -> None:
    admissions = pl.LazyFrame({"diagnoses": [["F12", "X"], ["F12"], ["F12", "F12"]]})
    mentions = diagnosis_mentions(admissions)
    assert dict(mentions.iter_rows()) == {"F12": 4, "X": 1}
    titles = pl.DataFrame({"code": ["F12"], "description": ["Cannabis"]})
    assert mention_coverage(describe_codes(mentions, titles)) == 0.8
