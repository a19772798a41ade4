"""What metadata says of small numbers: nothing, not even by subtraction."""

from __future__ import annotations

import pytest

from learn_assets.defs.metadata import about_count, table_result
from learn_assets.lake import TableStamp
from learn_assets_tests.canonical import study_of

STUDY = study_of()


def stamp(rows: int) -> TableStamp:
    return TableStamp(rows, "0" * 64, {})


@pytest.mark.parametrize("quarantined", range(1, 11))
def test_rows_refused_cannot_be_subtracted_from_rows_read(quarantined: int) -> None:
    assert about_count(STUDY, 25_000 + quarantined) == 25_000


@pytest.mark.parametrize("count", [1, 10, 99])
def test_a_total_under_a_hundred_is_not_told(count: int) -> None:
    assert isinstance(about_count(STUDY, count), str)
    assert str(count) not in str(about_count(STUDY, count)).replace("100", "")
    assert about_count(STUDY, 0) == 0


def test_the_one_small_part_of_a_total_is_not_its_remainder() -> None:
    result = table_result(
        STUDY, "diagnosis_quarantine", stamp(303), counts={"future": 3, "late": 100, "odd": 200}
    )
    assert result.metadata is not None
    assert result.metadata["future"] == "<11"
    assert result.metadata["late"] == "withheld"
    assert result.metadata["odd"] == 200


def test_a_table_of_counts_has_no_fingerprint_to_compare_guesses_with() -> None:
    result = table_result(STUDY, "attrition", stamp(8))
    assert result.data_version is None
    assert stamp(8).fingerprint not in str(result.metadata)
    assert table_result(STUDY, "narratives", stamp(8)).data_version is not None
