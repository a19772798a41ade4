"""Code systems: one spelling each, whatever hyphens and case a site uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from learn_assets.study import MedsSource, OmopSource, Study

CODE_SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "ICD-10-CM": ("ICD10CM",),
    "ICD-9-CM": ("ICD9CM",),
    "ICD-10-PCS": ("ICD10PCS",),
    "ICD-9-PCS": ("ICD9PCS", "ICD9PROC", "ICD9CMPCS", "ICD9CMPROC"),
    "CPT": ("CPT", "CPT4"),
    "HCPCS": ("HCPCS", "HCPCSLEVELII"),
    "RxNorm": ("RXNORM",),
    "NDC": ("NDC", "NDC11"),
    "LOINC": ("LOINC", "LNC"),
    "SNOMED": ("SNOMED", "SNOMEDCT", "SNOMEDCTUS"),
}


@dataclass(frozen=True)
class CodeSystems:
    """The code systems a study accepts: the ten above, its extra ones, or any (OMOP, MEDS)."""

    extra: tuple[str, ...] = ()
    accept_any: bool = False

    @classmethod
    def of(cls, study: Study) -> CodeSystems:
        """Return the study's code systems; all are accepted of OMOP, and of MEDS by its rules."""
        any_of = isinstance(study.source, OmopSource | MedsSource)
        return cls(study.vocabulary.extra_code_systems, any_of)

    def normalize(self, written: str) -> str | None:
        """Return the one spelling of a code system, or None when it is not accepted."""
        squashed = _squash(written)
        for name, variants in CODE_SYSTEMS.items():
            if squashed in variants:
                return name
        for name in self.extra:
            if squashed == _squash(name):
                return name
        return written if self.accept_any else None

    def column(self, written: pl.Series) -> pl.Series:
        """Return a column of code systems normalized, each distinct spelling looked up once."""
        spellings = written.unique().drop_nulls().to_list()
        table = {spelling: self.normalize(spelling) for spelling in spellings}
        return written.replace_strict(table, default=None, return_dtype=pl.String)


def _squash(written: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", written.upper())
