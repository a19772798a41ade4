"""Code systems: one spelling each, whatever hyphens and case a site uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from learn_assets.study import MedsSource, OmopSource, Study

CODE_SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "ICD-10-CM": ("ICD10CM", "CIE10ES"),
    "ICD-9-CM": ("ICD9CM",),
    "ICD-10-PCS": ("ICD10PCS",),
    "ICD-9-PCS": ("ICD9PCS", "ICD9PROC", "ICD9CMPCS", "ICD9CMPROC"),
    "CPT": ("CPT", "CPT4"),
    "HCPCS": ("HCPCS", "HCPCSLEVELII"),
    "RxNorm": ("RXNORM",),
    "NDC": ("NDC", "NDC11"),
    "LOINC": ("LOINC", "LNC", "LOINCORG"),
    "SNOMED": ("SNOMED", "SNOMEDCT", "SNOMEDCTUS", "SCT"),
}
# Without a modification an American or Spanish site means the clinical one, or that of procedures.
_WITHOUT_MODIFICATION: Mapping[str, tuple[str, str]] = {
    "ICD10": ("ICD-10-CM", "ICD-10-PCS"),
    "CIE10": ("ICD-10-CM", "ICD-10-PCS"),
    "ICD9": ("ICD-9-CM", "ICD-9-PCS"),
    "CIE9": ("ICD-9-CM", "ICD-9-PCS"),
    "CIE9MC": ("ICD-9-CM", "ICD-9-PCS"),
}
# Object identifiers of HL7, as FHIR and CDA write them.
_OBJECT_IDENTIFIERS: Mapping[str, str] = {
    "2.16.840.1.113883.6.90": "ICD-10-CM",
    "2.16.840.1.113883.6.103": "ICD-9-CM",
    "2.16.840.1.113883.6.4": "ICD-10-PCS",
    "2.16.840.1.113883.6.104": "ICD-9-PCS",
    "2.16.840.1.113883.6.12": "CPT",
    "2.16.840.1.113883.6.285": "HCPCS",
    "2.16.840.1.113883.6.88": "RxNorm",
    "2.16.840.1.113883.6.69": "NDC",
    "2.16.840.1.113883.6.1": "LOINC",
    "2.16.840.1.113883.6.96": "SNOMED",
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
        """Return the one spelling of a code system, or None when it is not accepted.

        It may be an address or object identifier, as in FHIR.
        """
        identifier = written.strip().lower().removeprefix("urn:oid:")
        if identifier in _OBJECT_IDENTIFIERS:
            return _OBJECT_IDENTIFIERS[identifier]
        # The last part of an address names the system: http://hl7.org/fhir/sid/icd-10-cm.
        squashed = _squash(written.rstrip("/").rsplit("/", 1)[-1] if "://" in written else written)
        for name, variants in CODE_SYSTEMS.items():
            if squashed in variants:
                return name
        for name in self.extra:
            if squashed == _squash(name):
                return name
        return written if self.accept_any else None

    def of_records(self, written: str, *, of_procedures: bool) -> str | None:
        """Return what records mean by a code system, where `ICD-10` alone is told by their kind.

        OMOP's `ICD10` is that of the World Health Organization and stays.
        """
        either = _WITHOUT_MODIFICATION.get(_squash(written))
        return self.normalize(written) or (either[of_procedures] if either else None)

    def column(self, written: pl.Series, *, of_procedures: bool = False) -> pl.Series:
        """Return a column of code systems normalized, each distinct spelling looked up once."""
        spellings = written.unique().drop_nulls().to_list()
        table = {
            spelling: self.of_records(spelling, of_procedures=of_procedures)
            for spelling in spellings
        }
        return written.replace_strict(table, default=None, return_dtype=pl.String)


def _squash(written: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", written.upper())
