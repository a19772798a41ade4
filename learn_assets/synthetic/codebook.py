"""Codebook: every code a site may write for each concept, and how much it likes each one.

What belongs here: resolving concepts to codes, the coding habits of the two sites, drawing codes,
and the terminology file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from learn_assets.synthetic.concepts import CONCEPTS, Concept
from learn_assets.synthetic.drugs import LUPUS_INGREDIENTS, Product, products, written_ndc
from learn_assets.synthetic.packaged_codes import CodeTitle, codes_with_prefix

Habit = Literal["home", "transfer"]
Book = Literal["icd10", "icd9", "procedure10", "procedure9", "drug"]

# Many synonyms a concept make any single code rare; those the other site prefers are
# used a quarter as often, unless a site is asked for that shares more or less.
_SYNONYMS = 60
SHARED_SYNONYMS = 0.25
_RXNORM_SHARE: dict[Habit, float] = {"home": 0.75, "transfer": 0.2}

# Level II codes are public; the wording is ours.
HCPCS_TITLES: dict[str, str] = {
    "A4253": "Blood glucose test strips",
    "E0114": "Underarm crutches, pair",
    "E0601": "Continuous positive airway pressure device",
    "G0008": "Giving of influenza vaccine",
    "G0009": "Giving of pneumococcal vaccine",
    "G0438": "Annual wellness visit, first",
    "G0439": "Annual wellness visit, later",
    "J1030": "Injection of methylprednisolone acetate, 40 mg",
    "J1100": "Injection of dexamethasone sodium phosphate, 1 mg",
    "J1885": "Injection of ketorolac, 15 mg",
    "J2405": "Injection of ondansetron, 1 mg",
    "J3301": "Injection of triamcinolone acetonide, 10 mg",
    "J3420": "Injection of vitamin B-12, up to 1000 mcg",
    "L1830": "Knee brace, canvas",
    "L3908": "Wrist and hand splint",
}

# Invented codes that no vocabulary describes, so that unmapped codes have something to report.
UNDESCRIBED: tuple[CodeTitle, ...] = (
    CodeTitle("HCPCS", "X9001", ""),
    CodeTitle("HCPCS", "X9002", ""),
    CodeTitle("ICD-10-PCS", "XYZ0001", ""),
)

LAB_TITLES: dict[str, str] = {
    "5048-4": "ANA titer",
    "8061-4": "ANA screen",
    "42254-3": "ANA by immunofluorescence",
    "718-7": "Hemoglobin in blood",
    "6690-2": "White cell count in blood",
    "777-3": "Platelet count in blood",
    "2160-0": "Creatinine in serum",
    "2888-6": "Protein in urine",
    "1988-5": "C-reactive protein in serum",
    "4485-9": "Complement C3 in serum",
    "4498-2": "Complement C4 in serum",
}


@dataclass(frozen=True)
class CodeTable:
    """Codes of one book, concept by concept, ready for vectorized draws.

    `cumulative` is concept number + cumulative probability within the concept, so one binary
    search draws a code for many concepts at once.
    """

    code_system: NDArray[np.str_]
    code: NDArray[np.str_]
    concept: NDArray[np.int64]
    preferred_by_home: NDArray[np.bool_]
    cumulative: NDArray[np.float64]
    available: NDArray[np.bool_]

    def draw(
        self, concepts: NDArray[np.int64], generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return one position in the table for each concept number."""
        point = concepts + generator.random(len(concepts))
        drawn = np.searchsorted(self.cumulative, point, side="right")
        return np.minimum(drawn, len(self.code) - 1).astype(np.int64)


@dataclass(frozen=True)
class Codebook:
    """All code tables of a site, and the descriptions its terminology file may hold."""

    habit: Habit
    tables: dict[Book, CodeTable]
    titles: tuple[CodeTitle, ...]

    def truth(self) -> pl.DataFrame:
        """Return one row a concept and code: which concept, weight, code, and who prefers it."""
        return pl.concat(
            [
                pl.DataFrame(
                    {
                        "concept": [concept_names()[i] for i in table.concept],
                        "log_hazard_weight": [all_concepts()[i].weight for i in table.concept],
                        "book": [book] * len(table.code),
                        "code_system": table.code_system,
                        "code": table.code,
                        "preferred_by": np.where(table.preferred_by_home, "home", "transfer"),
                    }
                )
                for book, table in self.tables.items()
            ]
        )


def all_concepts() -> tuple[Concept, ...]:
    """Return the concepts of the past, then the one that stands for treatment after diagnosis."""
    treatment = Concept(
        "lupus_treatment", 0.0, 0.0, 0.0, "", "", "", "", " ".join(LUPUS_INGREDIENTS)
    )
    return (*CONCEPTS, treatment)


def concept_names() -> tuple[str, ...]:
    """Return concept names by number."""
    return tuple(concept.name for concept in all_concepts())


@cache
def codebook(habit: Habit, shared_synonyms: float = SHARED_SYNONYMS) -> Codebook:
    """Return the codebook of a coding habit.

    shared_synonyms: how often a synonym that the other site prefers is written, against one's own;
    at 0 two sites share only codes of concepts that have no synonym of their own, and drugs.
    """
    icd10 = _titles("ICD-10-CM", [concept.icd10 for concept in all_concepts()])
    icd9 = _titles("ICD-9-CM", [concept.icd9 for concept in all_concepts()])
    pcs10 = _titles("ICD-10-PCS", [concept.icd10_pcs for concept in all_concepts()])
    pcs9 = _titles("ICD-9-PCS", [concept.icd9_pcs for concept in all_concepts()])
    hcpcs = [
        tuple(CodeTitle("HCPCS", code, HCPCS_TITLES[code]) for code in concept.hcpcs.split())
        for concept in all_concepts()
    ]
    procedure10 = [first + second for first, second in zip(pcs10, hcpcs, strict=True)]
    procedure9 = [first + second for first, second in zip(pcs9, hcpcs, strict=True)]
    checkup = concept_names().index("checkup_and_vaccination")
    procedure10[checkup] += UNDESCRIBED
    tables: dict[Book, CodeTable] = {
        "icd10": _table(icd10, habit, shared_synonyms),
        "icd9": _table(icd9, habit, shared_synonyms),
        "procedure10": _table(procedure10, habit, shared_synonyms),
        "procedure9": _table(procedure9, habit, shared_synonyms),
        "drug": _drug_table(habit),
    }
    books = (icd10, icd9, procedure10, procedure9)
    named = {item for groups in books for group in groups for item in group}
    ordered = sorted((item for item in named if item.title), key=lambda i: (i.code_system, i.code))
    return Codebook(habit, tables, tuple(ordered))


def _titles(code_system: str, prefixes: list[str]) -> list[tuple[CodeTitle, ...]]:
    return [codes_with_prefix(code_system, text, _SYNONYMS) if text else () for text in prefixes]


def prefers_home(code_system: str, code: str) -> bool:
    """Return whether the home site prefers this code: a fixed coin toss by its hash."""
    return hashlib.sha256(f"{code_system}|{code}".encode()).digest()[0] % 2 == 0


def _table(groups: list[tuple[CodeTitle, ...]], habit: Habit, shared: float) -> CodeTable:
    rows = [(number, item) for number, group in enumerate(groups) for item in group]
    home = np.array([prefers_home(item.code_system, item.code) for _, item in rows])
    liked = home if habit == "home" else ~home
    concept = np.array([number for number, _ in rows])
    # A concept of which this site likes no synonym is written with what there is.
    own = np.bincount(concept, weights=liked, minlength=len(groups))[concept] > 0
    return _assemble(
        [item.code_system for _, item in rows],
        [item.code for _, item in rows],
        concept,
        home,
        np.where(liked | ~own, 1.0, shared),
        len(groups),
    )


def _drug_table(habit: Habit) -> CodeTable:
    systems: list[str] = []
    codes: list[str] = []
    concepts: list[int] = []
    weights: list[float] = []
    by_ingredient: dict[str, list[Product]] = {}
    for item in products():
        by_ingredient.setdefault(item.ingredient, []).append(item)
    for number, concept in enumerate(all_concepts()):
        for item in (p for name in concept.ingredients.split() for p in by_ingredient[name]):
            for system, code, weight in _written_codes(item, habit):
                systems.append(system)
                codes.append(code)
                concepts.append(number)
                weights.append(weight)
    home = np.array([prefers_home(s, c) for s, c in zip(systems, codes, strict=True)])
    return _assemble(
        systems, codes, np.array(concepts), home, np.array(weights), len(all_concepts())
    )


def _written_codes(item: Product, habit: Habit) -> Iterable[tuple[str, str, float]]:
    share = _RXNORM_SHARE[habit]
    rxcuis = [item.rxcui, *(r for r in (item.brand_rxcui, item.retired_rxcui) if r is not None)]
    for rxcui in rxcuis:
        yield "RxNorm", str(rxcui), share / len(rxcuis)
    for package, ndc in enumerate(item.ndcs):
        # Styles follow the package, so one NDC is always written the same way within a site.
        style = (package + (0 if habit == "home" else 1)) % 5
        yield "NDC", written_ndc(ndc, style), (1 - share) / len(item.ndcs)


def _assemble(
    systems: list[str],
    codes: list[str],
    concepts: NDArray[np.int64],
    home: NDArray[np.bool_],
    weights: NDArray[np.float64],
    groups: int,
) -> CodeTable:
    totals = np.bincount(concepts, weights=weights, minlength=groups)
    running = np.cumsum(weights)
    before = np.concatenate([[0.0], np.cumsum(totals)])[concepts]
    within = (running - before) / totals[concepts]
    last = np.r_[concepts[1:] != concepts[:-1], True]
    # Rounding must not let a draw fall past the end of its own concept.
    within[last] = 1.0
    return CodeTable(
        code_system=np.array(systems, dtype=str),
        code=np.array(codes, dtype=str),
        concept=concepts,
        preferred_by_home=home,
        cumulative=concepts + within,
        available=totals > 0,
    )


def terminology(book: Codebook) -> pl.DataFrame:
    """Return the terminology file: most codes, without every 12th ICD code and the undescribed.

    What is left out must come from the packaged vocabulary; drug names come from RxNorm.
    """
    kept = [
        item
        for number, item in enumerate(book.titles)
        if number % 12 or not item.code_system.startswith("ICD")
    ]
    labs = [CodeTitle("LOINC", code, title) for code, title in LAB_TITLES.items()]
    rows = [*kept, *labs]
    return pl.DataFrame(
        {
            "code_system": [item.code_system for item in rows],
            "code": [item.code for item in rows],
            "code_description": [item.title for item in rows],
            "unit": [""] * len(rows),
        }
    )
