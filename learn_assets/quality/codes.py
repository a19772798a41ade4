"""Codes: what a code of each code system looks like, and diagnoses that one sex alone can have."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

# Upper case; dots are optional, as sites send ICD codes with and without. What codes are compared
# without (macro `comparable_code`), such as modifiers and the `.0` of a float, is no fault.
FORMS: Mapping[str, str] = MappingProxyType(
    {
        "ICD-10-CM": r"^[A-Z]\d[0-9AB](\.?[0-9A-Z]{1,4})?\.?$",
        "ICD-9-CM": r"^(?:(?:\d{3}|V\d{2})(?:\.?\d{1,2})?|E\d{3}(?:\.?\d)?)$",
        "ICD-10-PCS": r"^[0-9A-HJ-NP-Z]{7}$",
        "ICD-9-PCS": r"^\d{2}(?:\.?\d{1,2})?$",
        "CPT": r"^\d{4}[0-9A-Z](?:\.0|(?:[-: ,][0-9A-Z]{2})*)$",
        # Level I of HCPCS is CPT.
        "HCPCS": r"^[0-9A-Z]\d{3}[0-9A-Z](?:\.0|(?:[-: ,][0-9A-Z]{2})*)$",
        "RxNorm": r"^\d{1,8}(?:\.0)?$",
        "NDC": r"^(?:[0-9*]{4,6}-[0-9*]{3,4}-[0-9*]{1,2}|[0-9*]{7,12}(?:\.0)?)$",
        "LOINC": r"^\d{1,7}-\d$",
        "SNOMED": r"^\d{6,18}(?:\.0)?$",
    }
)

# Pregnancy and childbirth, female and male genital cancers, disorders of the prostate.
OF_ONE_SEX: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("ICD-10-CM", "F"): r"^(?:O|C5[3-8]|Z3[34])",
        ("ICD-10-CM", "M"): r"^(?:C6[0-3]|N4[0-2])",
        ("ICD-9-CM", "F"): r"^(?:6[3-7]\d|18[0-4]|V2[2-4])",
        ("ICD-9-CM", "M"): r"^(?:18[5-7]|60[0-2])",
    }
)


def has_form(code_system: pl.Expr, code: pl.Expr) -> pl.Expr:
    """Return whether a code looks as those of its system do; null for a system without a form."""
    written = code.str.to_uppercase()
    looks = pl.lit(None, pl.Boolean)
    for system, form in FORMS.items():
        looks = pl.when(code_system == system).then(written.str.contains(form)).otherwise(looks)
    return looks


def sex_of(code_system: pl.Expr, code: pl.Expr) -> pl.Expr:
    """Return the sex (F or M) that alone can have a diagnosis; null when both can."""
    written = code.str.to_uppercase()
    sex = pl.lit(None, pl.String)
    for (system, one), codes in OF_ONE_SEX.items():
        belongs = (code_system == system) & written.str.contains(codes)
        sex = pl.when(belongs).then(pl.lit(one)).otherwise(sex)
    return sex
