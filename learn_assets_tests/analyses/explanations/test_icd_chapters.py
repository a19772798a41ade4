"""ICD chapters: one of ours for each of the classification."""

from __future__ import annotations

import pytest

from learn_assets.analyses.explanations.icd_chapters import chapter_of


@pytest.mark.parametrize(
    ("system", "code", "chapter"),
    [
        ("ICD-10-CM", "M321", "Musculoskeletal system and connective tissue"),
        ("ICD-9-CM", "7100", "Musculoskeletal system and connective tissue"),
        ("ICD-10-CM", "C7A", "Neoplasms"),
        ("ICD-10-CM", "D48", "Neoplasms"),
        ("ICD-10-CM", "D50", "Blood and immune mechanism"),
        ("ICD-10-CM", "H59", "Eye"),
        ("ICD-10-CM", "H60", "Ear"),
        ("ICD-10-CM", "T88", "Injury and poisoning"),
        ("ICD-10-CM", "Y99", "External causes"),
        ("ICD-9-CM", "V0481", "Factors influencing health status"),
        ("ICD-9-CM", "E8490", "External causes"),
        ("ICD-9-CM", "3899", "Ear"),
        ("ICD-9-CM", "0010", "Infectious and parasitic diseases"),
        ("ICD-9-CM", "000", None),
        ("ICD-10-CM", "12", None),
        ("RxNorm", "123", None),
    ],
)
def test_chapters(system: str, code: str, chapter: str | None) -> None:
    assert chapter_of(system, code) == chapter


def test_chapters_of_icd_10_are_those_of_the_classification() -> None:
    import simple_icd_10_cm

    names: dict[str, set[str]] = {}
    for code in simple_icd_10_cm.get_all_codes():
        if simple_icd_10_cm.is_category(code) and len(code) == 3:
            chapter = simple_icd_10_cm.get_ancestors(code)[-1]
            found = chapter_of("ICD-10-CM", code)
            assert found is not None
            names.setdefault(chapter, set()).add(found)
    # One of our chapters for each of theirs, and no two of theirs in one of ours.
    assert {len(found) for found in names.values()} == {1}
    assert len({name for found in names.values() for name in found}) == len(names)
