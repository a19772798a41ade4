"""Layout of RAE-CMBD downloads: which header means which column, Spanish, English and SPSS."""

from __future__ import annotations

from unicodedata import combining, normalize

from learn_assets.sources.headers import TableLayout, squash

DIAGNOSES = 20
DIAGNOSIS_COLUMNS: tuple[str, ...] = tuple(f"diagnosis_{n}" for n in range(1, DIAGNOSES + 1))

_HEADERS: dict[str, tuple[str, ...]] = {
    "patient_link": ("CIP SNS Recodificado", "Identificador Paciente", "Patient ID", "NHC"),
    "year": ("Año", "Year"),
    "region": ("Comunidad Autónoma", "Autonomous Community"),
    "residence_region": ("CCAA Residencia", "Autonomous Community Residence"),
    "birth_date": ("Fecha de nacimiento", "Fecha nacimiento", "Date Of Birth"),
    "sex": ("Sexo", "Sex"),
    "admission_date": ("Fecha de Ingreso", "Fecha ingreso", "Admission Date"),
    "end_date": ("Fecha de Fin Contacto", "Fecha fin contacto", "Contact End Date"),
    "stay_days": ("Estancia Días", "Days Of Stay"),
    "severity": ("Nivel Severidad APR", "APR Severity Level"),
    "mortality_risk": ("Riesgo Mortalidad APR", "APR Mortality Risk"),
    "weight": ("Peso Español APR", "APR Spanish Weight"),
    "cost": ("Coste APR", "APR Cost"),
}


def _diagnosis_headers(number: int) -> tuple[str, ...]:
    numbered = (f"Diagnóstico {number}", f"Diagnosis {number}", f"DX{number}", f"D{number}")
    return ("Diagnóstico Principal", "Principal Diagnosis", *numbered) if number == 1 else numbered


def _aliases(headers: tuple[str, ...]) -> tuple[str, ...]:
    # Headers lose their accents in some exports; squashing alone drops the accented letter.
    plain = ("".join(c for c in normalize("NFD", text) if not combining(c)) for text in headers)
    spellings = [squash(text) for text in (*plain, *headers)]
    return tuple(dict.fromkeys(spellings))


DISCHARGE_LAYOUT = TableLayout(
    required=("sex", "admission_date", "diagnosis_1"),
    aliases={
        **{name: _aliases(headers) for name, headers in _HEADERS.items()},
        **{
            name: _aliases(_diagnosis_headers(number))
            for number, name in enumerate(DIAGNOSIS_COLUMNS, start=1)
        },
    },
    keep_unknown=False,
)
COLUMNS: tuple[str, ...] = DISCHARGE_LAYOUT.canonical
