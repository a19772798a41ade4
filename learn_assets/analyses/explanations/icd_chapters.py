"""ICD chapters: which chapter of the classification a diagnosis code belongs to, in plain words."""

from __future__ import annotations

from bisect import bisect_right

# First code of each chapter, in the order of the classification. Both editions share the words.
_ICD10: tuple[tuple[str, str], ...] = (
    ("A00", "Infectious and parasitic diseases"),
    ("C00", "Neoplasms"),
    ("D50", "Blood and immune mechanism"),
    ("E00", "Endocrine, nutritional and metabolic diseases"),
    ("F01", "Mental and behavioral disorders"),
    ("G00", "Nervous system"),
    ("H00", "Eye"),
    ("H60", "Ear"),
    ("I00", "Circulatory system"),
    ("J00", "Respiratory system"),
    ("K00", "Digestive system"),
    ("L00", "Skin"),
    ("M00", "Musculoskeletal system and connective tissue"),
    ("N00", "Genitourinary system"),
    ("O00", "Pregnancy and childbirth"),
    ("P00", "Perinatal conditions"),
    ("Q00", "Congenital malformations"),
    ("R00", "Symptoms and abnormal findings"),
    ("S00", "Injury and poisoning"),
    ("U00", "Codes for special purposes"),
    ("V00", "External causes"),
    ("Z00", "Factors influencing health status"),
)
_ICD9: tuple[tuple[int, str], ...] = (
    (1, "Infectious and parasitic diseases"),
    (140, "Neoplasms"),
    (240, "Endocrine, nutritional and metabolic diseases"),
    (280, "Blood and immune mechanism"),
    (290, "Mental and behavioral disorders"),
    (320, "Nervous system"),
    (360, "Eye"),
    (380, "Ear"),
    (390, "Circulatory system"),
    (460, "Respiratory system"),
    (520, "Digestive system"),
    (580, "Genitourinary system"),
    (630, "Pregnancy and childbirth"),
    (680, "Skin"),
    (710, "Musculoskeletal system and connective tissue"),
    (740, "Congenital malformations"),
    (760, "Perinatal conditions"),
    (780, "Symptoms and abnormal findings"),
    (800, "Injury and poisoning"),
)
_ICD9_LETTERS = {"E": "External causes", "V": "Factors influencing health status"}


def chapter_of(code_system: str, code: str) -> str | None:
    """Return the chapter of an ICD-10-CM or ICD-9-CM code, or of a category of theirs; else None.

    Eye and ear stand apart in both editions, as ICD-10 has it.
    """
    if code_system == "ICD-10-CM":
        return _icd10(code.upper()[:3])
    if code_system == "ICD-9-CM":
        return _icd9(code.upper()[:3])
    return None


def _icd10(category: str) -> str | None:
    if len(category) < 3 or not category[0].isalpha():
        return None
    starts = [start for start, _ in _ICD10]
    place = bisect_right(starts, category) - 1
    return _ICD10[place][1] if place >= 0 else None


def _icd9(category: str) -> str | None:
    if category[:1] in _ICD9_LETTERS:
        return _ICD9_LETTERS[category[0]]
    if len(category) < 3 or not category.isdecimal():
        return None
    place = bisect_right([start for start, _ in _ICD9], int(category)) - 1
    return _ICD9[place][1] if place >= 0 else None
