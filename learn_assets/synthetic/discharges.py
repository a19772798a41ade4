"""Discharges: a synthetic download of the registry RAE-CMBD with planted clusters and bad rows.

What belongs here: how admissions are drawn and written. What the clusters are like stands in
`discharge_profiles.py`. The truth is drawn again from the seed when a test asks for it; it stands
in no file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from learn_assets.study.subtypes import SyntheticDischarges
from learn_assets.synthetic.discharge_profiles import (
    BACKGROUND,
    CLUSTER_WEIGHTS,
    IN_NO_EDITION,
    ONLY_SPANISH,
    PROFILES,
    Profile,
)
from learn_assets.synthetic.packaged_codes import codes_with_prefix

DIAGNOSES = 20
BLOCK_PATIENTS = 500
FIRST_DAY, LAST_DAY = date(2016, 1, 1), date(2020, 3, 15)
DIRTY_REASONS = (
    "wrong_column_count", "bad_encoding", "unreadable_admission_date", "admitted_after_the_study",
    "sex_not_1_or_2", "no_principal_diagnosis", "principal_diagnosis_not_of_the_study",
)  # fmt: skip
_PLACEHOLDER = "ZZZ.ZZZS"
_MALE_SHARE = 0.6
_BACKGROUND_SHARE = 0.3
_NEIGHBOR_SHARE, _PRINCIPAL_NEIGHBOR_SHARE = 0.9, 0.3
_MOST_NEIGHBORS = 40
_REGIONS = (
    "ANDALUCÍA", "CATALUÑA", "COMUNIDAD DE MADRID", "COMUNITAT VALENCIANA", "GALICIA",
    "CASTILLA Y LEÓN", "PAÍS VASCO", "CANARIAS",
)  # fmt: skip
_REGION_WEIGHTS = (0.22, 0.2, 0.18, 0.14, 0.08, 0.07, 0.06, 0.05)

Cells = dict[str, str]


def _series(canonical: str, spanish: str, english: str, count: int) -> list[tuple[str, str, str]]:
    return [(f"{canonical}_{n}", f"{spanish} {n}", f"{english}{n}") for n in range(1, count + 1)]


# Name here, Spanish header, English header; columns without a value of ours stay empty.
_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("year", "Año", "Year"),
    ("region", "Comunidad Autónoma", "AutonomousCommunity"),
    ("province", "Provincia", "Province"),
    ("patient", "CIP SNS Recodificado", "PatientID"),
    ("birth_date", "Fecha de nacimiento", "DateOfBirth"),
    ("sex", "Sexo", "Sex"),
    ("residence", "CCAA Residencia", "AutonomousCommunityResidence"),
    ("residence_province", "Provincia Residencia", "ProvinceResidence"),
    ("admission_date", "Fecha de Ingreso", "AdmissionDate"),
    ("end_date", "Fecha de Fin Contacto", "ContactEndDate"),
    ("intervention", "Fecha de Intervención", "InterventionDate"),
    ("discharge_type", "Tipo Alta", "DischargeType"),
    ("regime", "Régimen Financiación", "FinancingRegime"),
    ("circumstance", "Circunstancia de Contacto", "ContactCircumstance"),
    ("stay_days", "Estancia Días", "DaysOfStay"),
    ("diagnosis_1", "Diagnóstico Principal", "PrincipalDiagnosis"),
    ("chapter", "Capitulo Diagnóstico Principal", "PrincipalDiagnosisChapter"),
    ("section", "Sección Diagnóstico Principal", "PrincipalDiagnosisSection"),
    ("category", "Categoría Diagnóstico Principal", "PrincipalDiagnosisCategory"),
    ("subcategory", "Subcategoría Diagnóstico Principal", "PrincipalDiagnosisSubcategory"),
    *_series("diagnosis", "Diagnóstico", "Diagnosis", DIAGNOSES)[1:],
    *_series("procedure", "Procedimiento", "Procedure", 20),
    *_series("external_procedure", "Procedimiento Externo", "ExternalProcedure", 6),
    *_series("morphology", "Morfología", "Morphology", 6),
    ("drg", "GRD APR", "APRDRG"),
    ("drg_type", "Tipo GRD APR", "APRDRGType"),
    ("severity", "Nivel Severidad APR", "APRSeverityLevel"),
    ("mortality_risk", "Riesgo Mortalidad APR", "APRMortalityRisk"),
    ("weight", "Peso Español APR", "APRSpanishWeight"),
    ("cost", "Coste APR", "APRCost"),
)


@dataclass(frozen=True)
class DischargeStyle:
    """How a download looks: language of the header, separator, byte order mark."""

    language: Literal["spanish", "english"] = "spanish"
    separator: Literal[",", ";"] = ";"
    byte_order_mark: bool = True


@dataclass(frozen=True)
class _Admission:
    """One row: its cells by name, the planted cluster, and why it is bad when it is."""

    cells: Cells
    sex: str
    cluster: str | None
    reason: str | None = None

    @property
    def number_of_diagnoses(self) -> int:
        codes = (self.cells[f"diagnosis_{n}"] for n in range(1, DIAGNOSES + 1))
        return sum(code != _PLACEHOLDER for code in codes)


def write_discharge_file(
    path: Path, settings: SyntheticDischarges, style: DischargeStyle | None = None
) -> None:
    """Write a download with the given number of clean admissions and the bad rows among them.

    The same settings and style give the same bytes. Rows are drawn and written patient by patient,
    so memory does not grow with the file.
    """
    style = style or DischargeStyle()
    header = [
        spanish if style.language == "spanish" else english for _, spanish, english in _COLUMNS
    ]
    with path.open("wb") as target:
        target.write("\ufeff".encode() if style.byte_order_mark else b"")
        target.write(_line(header, style))
        for admission in _admissions(settings):
            target.write(_row(admission, style))


def discharge_truth(settings: SyntheticDischarges) -> pl.DataFrame:
    """Return what was planted in each row of the file of these settings.

    Columns: source_row (line), reason (null for a clean row), admission_id (as the published
    pruning numbers those that stay), sex, cluster (null without planted clusters),
    number_of_diagnoses.
    """
    rows = []
    kept = 0
    for line, admission in enumerate(_admissions(settings), start=2):
        kept += admission.reason is None
        number = str(kept) if admission.reason is None else None
        rows.append(
            (line, admission.reason, number, admission.sex, admission.cluster,
             admission.number_of_diagnoses)
        )  # fmt: skip
    schema = {
        "source_row": pl.Int64, "reason": pl.String, "admission_id": pl.String, "sex": pl.String,
        "cluster": pl.String, "number_of_diagnoses": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _admissions(settings: SyntheticDischarges) -> Iterator[_Admission]:
    left = settings.admissions
    block = 0
    while left > 0:
        generator = np.random.default_rng(np.random.SeedSequence([settings.seed, block]))
        planted = _dirty_reasons(settings, block, generator)
        for patient in range(BLOCK_PATIENTS):
            drawn = _patient(block * BLOCK_PATIENTS + patient, settings, generator)[:left]
            left -= len(drawn)
            if drawn:
                yield from (_spoiled(drawn[0], reason, generator) for reason in planted[patient])
            yield from drawn
        block += 1


def _dirty_reasons(
    settings: SyntheticDischarges, block: int, generator: np.random.Generator
) -> list[list[str]]:
    """Return the reasons of the bad rows that stand before each patient of a block."""
    planted: list[list[str]] = [[] for _ in range(BLOCK_PATIENTS)]
    if settings.dirty_share == 0:
        return planted
    count = generator.binomial(BLOCK_PATIENTS, settings.dirty_share)
    reasons = [str(reason) for reason in generator.choice(DIRTY_REASONS, count)]
    # One of each among the first patients, so that the smallest file has them all.
    reasons += DIRTY_REASONS if block == 0 else ()
    for place, reason in enumerate(reasons):
        at = place * 7 % 60 if block == 0 else int(generator.integers(BLOCK_PATIENTS))
        planted[at].append(reason)
    return planted


def _patient(
    number: int, settings: SyntheticDischarges, generator: np.random.Generator
) -> list[_Admission]:
    sex = "M" if generator.random() < _MALE_SHARE else "F"
    profiles = PROFILES[sex]
    used = settings.planted_clusters or len(profiles)
    weights = np.array(CLUSTER_WEIGHTS[:used])
    profile = profiles[int(generator.choice(used, p=weights / weights.sum()))]
    day = FIRST_DAY + timedelta(days=int(generator.integers((LAST_DAY - FIRST_DAY).days + 1)))
    birth = day - timedelta(days=int(generator.integers(12 * 366, 18 * 365)))
    region = str(generator.choice(_REGIONS, p=_REGION_WEIGHTS))
    admissions = []
    while day <= LAST_DAY:
        planted = settings.planted_clusters > 0
        codes = _clustered(profile, generator) if planted else _structureless(sex, generator)
        cells, stay = _cells(profile, codes, day, generator)
        cells |= {
            "patient": f"{settings.seed % 997:03d}{number:09d}",
            "sex": "1" if sex == "M" else "2",
            # A spreadsheet has taken the leading zero.
            "birth_date": str(int(birth.strftime("%d%m%Y"))),
            "region": region,
            "residence": region,
        }
        admissions.append(_Admission(cells, sex, profile.name if planted else None))
        if generator.random() >= profile.readmission:
            break
        day += timedelta(days=stay + int(generator.integers(5, 300)))
    return admissions


def _clustered(profile: Profile, generator: np.random.Generator) -> list[str]:
    """Return codes of a cluster, principal first, as many as everybody has."""
    length = _length(generator)
    codes = [_pick(profile.principal, generator)]
    own = list(profile.secondary)
    anyone = list(BACKGROUND)
    while len(codes) < length:
        pool = anyone if not own or generator.random() < _BACKGROUND_SHARE else own
        code = _pick(pool, generator)
        pool.remove(code)
        codes.append(code)
    return _varied(codes, generator)


def _structureless(sex: str, generator: np.random.Generator) -> list[str]:
    """Return codes each drawn without regard to the others."""
    length = _length(generator)
    profiles = PROFILES[sex]
    principal = [code for profile in profiles for code in profile.principal]
    rest = [code for profile in profiles for code in profile.secondary] + list(BACKGROUND)
    chosen = generator.choice(len(rest), length - 1, replace=False)
    codes = [principal[int(generator.integers(len(principal)))], *(rest[i] for i in chosen)]
    return _varied(codes, generator)


def _length(generator: np.random.Generator) -> int:
    # Says nothing about the cluster: whoever finds clusters by it has found the wrong ones.
    return int(min(DIAGNOSES, 3 + generator.negative_binomial(1.5, 0.22)))


def _pick(codes: list[str] | tuple[str, ...], generator: np.random.Generator) -> str:
    weights = 1 / np.arange(3, len(codes) + 3)
    return codes[int(generator.choice(len(codes), p=weights / weights.sum()))]


def _varied(codes: list[str], generator: np.random.Generator) -> list[str]:
    """Return the codes, most of them as another one of the same category, and rarely an odd one.

    Coders choose among many codes for much the same finding: what they mean says more than which
    they are.
    """
    shares = [_PRINCIPAL_NEIGHBOR_SHARE, *[_NEIGHBOR_SHARE] * (len(codes) - 1)]
    codes = [
        _neighbor(code, generator) if generator.random() < share else code
        for code, share in zip(codes, shares, strict=True)
    ]
    for rare, chance in ((ONLY_SPANISH, 0.04), (IN_NO_EDITION, 0.01)):
        if len(codes) > 2 and generator.random() < chance:
            codes[-1] = str(generator.choice(rare))
    return codes


def _neighbor(code: str, generator: np.random.Generator) -> str:
    category = _category(code[:3])
    return category[int(generator.integers(len(category)))]


@cache
def _category(category: str) -> tuple[str, ...]:
    # Encounters after the first ("subsequent", "sequela") are not why somebody is admitted.
    codes = [item.code for item in codes_with_prefix("ICD-10-CM", category, _MOST_NEIGHBORS * 4)]
    first = [code for code in codes if not (len(code) == 8 and code[-1] in "DS")]
    return tuple(first[:: -(-len(first) // _MOST_NEIGHBORS)])


def _cells(
    profile: Profile, codes: list[str], day: date, generator: np.random.Generator
) -> tuple[Cells, int]:
    """Return the cells of an admission that depend on its cluster, and its days of stay."""
    stay = round(profile.stay_days * float(generator.lognormal(0, 0.6)))
    severity = 1 + int(generator.binomial(3, profile.severity))
    weight = 0.35 * (1 + 0.5 * severity) * float(generator.lognormal(0, 0.3))
    cost = weight * 2400 + 190 * stay
    end = day + timedelta(days=stay)
    listed = [*(_written(code, generator) for code in codes), *[_PLACEHOLDER] * DIAGNOSES]
    cells = {
        "year": str(day.year),
        "admission_date": f"{day:%d%m%Y} {generator.integers(24):02d}{generator.integers(60):02d}",
        "end_date": f"{end:%d%m%Y} 1200",
        "stay_days": str(stay),
        "severity": "0" if generator.random() < 0.004 else str(severity),
        "mortality_risk": str(1 + int(generator.binomial(3, 0.1))),
        "weight": f"{weight:.4f}".replace(".", ","),
        "cost": "" if generator.random() < 0.01 else f"{cost:.2f}".replace(".", ","),
        **{f"diagnosis_{n}": code for n, code in enumerate(listed[:DIAGNOSES], start=1)},
    }
    return cells, stay


def _written(code: str, generator: np.random.Generator) -> str:
    habit = generator.random()
    if habit < 0.01:
        return code.replace(".", "")
    return f" {code.lower()} " if habit < 0.02 else code


def _spoiled(clean: _Admission, reason: str, generator: np.random.Generator) -> _Admission:
    """Return a row that is bad for exactly one reason."""
    changes = {
        "unreadable_admission_date": {"admission_date": "31022018 0930"},
        "admitted_after_the_study": {
            "admission_date": f"{LAST_DAY + timedelta(days=int(generator.integers(1, 200))):%d%m%Y}"
        },
        "sex_not_1_or_2": {"sex": "9"},
        "no_principal_diagnosis": {"diagnosis_1": _PLACEHOLDER},
        "principal_diagnosis_not_of_the_study": {"diagnosis_1": "K35.80"},
    }
    return _Admission(clean.cells | changes.get(reason, {}), clean.sex, clean.cluster, reason)


def _row(admission: _Admission, style: DischargeStyle) -> bytes:
    empty = {"procedure": _PLACEHOLDER, "external": _PLACEHOLDER, "morphology": _PLACEHOLDER}
    cells = [
        admission.cells.get(name, empty.get(name.split("_")[0], "")) for name, _, _ in _COLUMNS
    ]
    if admission.reason == "wrong_column_count":
        cells = cells[:40]
    line = _line(cells, style)
    if admission.reason == "bad_encoding":
        return line.replace(b"\r\n", b"\xff\r\n")
    return line


def _line(cells: list[str], style: DischargeStyle) -> bytes:
    target = io.StringIO()
    csv.writer(target, delimiter=style.separator).writerow(cells)
    return target.getvalue().encode()
