"""MEDS codes: what the codes of a dataset mean, by the study's rules and the packaged ones.

What belongs here: from a code, as one text, to kind, code system and code. Reading the dataset is
in `meds.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from learn_assets.study import MedsCodeRule

NO_KIND = "none"
DEMOGRAPHICS = ("sex", "race", "ethnicity")


def _records(pattern: str, kind: str, code_system: str, **where: str) -> MedsCodeRule:
    return MedsCodeRule.model_validate(
        {"pattern": pattern, "kind": kind, "code_system": code_system, "where": where}
    )


def _others(pattern: str, kind: str) -> MedsCodeRule:
    return MedsCodeRule.model_validate({"pattern": pattern, "kind": kind})


# `vocabulary/code` is how meds_etl writes an OMOP database, and how parents are written in general;
# `WORD//...` is how MIMIC_IV_MEDS writes MIMIC-IV. SNOMED CT names disorders, procedures and
# findings alike: meds_etl says in `table` which of them a row is, elsewhere a study has to.
PACKAGED_RULES: tuple[MedsCodeRule, ...] = (
    # The end of a prescription and the drawing of blood are no further drug or result.
    _others(r"MEDICATION//STOP//.*", NO_KIND),
    _others(r"LAB//SPECIMEN_COLLECTED//.*", NO_KIND),
    _records(r"ICD10CM/(?P<code>.+)", "diagnosis", "ICD-10-CM"),
    _records(r"ICD9CM/(?P<code>.+)", "diagnosis", "ICD-9-CM"),
    _records(r"DIAGNOSIS//ICD//10//(?P<code>.+)", "diagnosis", "ICD-10-CM"),
    _records(r"DIAGNOSIS//ICD//9//(?P<code>.+)", "diagnosis", "ICD-9-CM"),
    _records(r"ICD10PCS/(?P<code>.+)", "procedure", "ICD-10-PCS"),
    _records(r"ICD9Proc/(?P<code>.+)", "procedure", "ICD-9-PCS"),
    _records(r"PROCEDURE//ICD//10//(?P<code>.+)", "procedure", "ICD-10-PCS"),
    _records(r"PROCEDURE//ICD//9//(?P<code>.+)", "procedure", "ICD-9-PCS"),
    _records(r"CPT4/(?P<code>.+)", "procedure", "CPT"),
    _records(r"HCPCS/(?P<code>.+)", "procedure", "HCPCS"),
    _records(r"RxNorm/(?P<code>.+)", "medication", "RxNorm"),
    _records(r"NDC/(?P<code>.+)", "medication", "NDC"),
    _records(r"LOINC/(?P<code>.+)", "lab_result", "LOINC"),
    _records(r"SNOMED/(?P<code>.+)", "diagnosis", "SNOMED", table="condition(?:_occurrence)?"),
    _records(r"SNOMED/(?P<code>.+)", "procedure", "SNOMED", table="procedure(?:_occurrence)?"),
    _records(r"SNOMED/(?P<code>.+)", "lab_result", "SNOMED", table="measurement|observation"),
    _others(r"(?:GENDER//|Gender/)(?P<code>.+)", "sex"),
    _others(r"(?:RACE//|Race/)(?P<code>.+)", "race"),
    _others(r"(?:ETHNICITY//|Ethnicity/)(?P<code>.+)", "ethnicity"),
)


@dataclass(frozen=True)
class Meaning:
    """Kind of record or demographic that a code stands for, and the code in its code system."""

    kind: str
    code_system: str | None
    code: str | None


# A code with the values of the columns that rules look at, in the order of `columns_of`.
Written = tuple[str | None, ...]


def columns_of(rules: Iterable[MedsCodeRule]) -> tuple[str, ...]:
    """Return the columns besides the code that rules look at, sorted."""
    return tuple(sorted({column for rule in rules for column in rule.where}))


def meaning_of(
    code: str,
    parents: Iterable[str],
    rules: Sequence[MedsCodeRule],
    further: Mapping[str, str | None] | None = None,
) -> Meaning | None:
    """Return what the first rule says that matches a code, else one of its parents, in order.

    further: values of the columns that rules look at besides the code.
    """
    for written in (code, *parents):
        for rule in rules:
            found = re.fullmatch(rule.pattern, written, re.DOTALL)
            if found is not None and _applies(rule, further or {}):
                value = None if rule.kind == NO_KIND else found["code"]
                return Meaning(rule.kind, rule.code_system, value)
    return None


def _applies(rule: MedsCodeRule, further: Mapping[str, str | None]) -> bool:
    return all(
        re.fullmatch(expression, further.get(column) or "", re.DOTALL)
        for column, expression in rule.where.items()
    )


def meanings_of(
    written: Iterable[Written],
    parents: Mapping[str, Sequence[str]],
    rules: Sequence[MedsCodeRule],
) -> dict[Written, Meaning]:
    """Return what codes mean; those that no rule knows are not in it.

    written: codes, each with the values of `columns_of(rules)`.
    """
    columns = columns_of(rules)
    found = {}
    for item in written:
        code = str(item[0])
        meaning = meaning_of(
            code, parents.get(code, ()), rules, dict(zip(columns, item[1:], strict=True))
        )
        if meaning is not None:
            found[item] = meaning
    return found
