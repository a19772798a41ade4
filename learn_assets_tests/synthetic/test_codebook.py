"""Codes: many synonyms a concept, real titles, two habits, drug codes of every form."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from learn_assets.synthetic.codebook import (
    UNDESCRIBED,
    Habit,
    all_concepts,
    codebook,
    concept_names,
    terminology,
)
from learn_assets.synthetic.concepts import RISK_CONCEPTS
from learn_assets.synthetic.drugs import products, written_ndc
from learn_assets.synthetic.packaged_codes import codes_with_prefix, dotted, packaged_titles

RISKY = [concept.name for concept in RISK_CONCEPTS]


def test_every_risk_concept_has_many_diagnosis_codes_in_several_categories() -> None:
    diagnoses = codebook("home").truth().filter(pl.col("book").is_in(["icd10", "icd9"]))
    spread = (
        diagnoses.filter(pl.col("concept").is_in(RISKY))
        .group_by("concept")
        .agg(pl.len(), pl.col("code").str.slice(0, 3).n_unique().alias("categories"))
    )
    assert spread.height == len(RISKY)
    assert spread["len"].min() >= 10
    assert spread["len"].max() <= 120
    assert spread["categories"].min() >= 5


def test_no_code_belongs_to_two_risk_concepts() -> None:
    codes = (
        codebook("home")
        .truth()
        .filter(pl.col("concept").is_in(RISKY), pl.col("book").is_in(["icd10", "icd9"]))
    )
    assert codes.select("code_system", "code").is_duplicated().sum() == 0


def test_no_diagnosis_of_the_past_is_an_outcome_or_an_exclusion() -> None:
    codes = codebook("home").truth().filter(pl.col("book").is_in(["icd10", "icd9"]))
    forbidden = r"^(M32|710|C\d|1[4-9]\d|20\d|M0[56]|M08|M3[3-6]|714|L93|695\.4|N18\.6|585\.6)"
    assert codes.filter(pl.col("code").str.contains(forbidden)).is_empty()


def test_draws_follow_the_concept_and_the_habit() -> None:
    generator = np.random.default_rng(0)
    joint = concept_names().index("joint_pain_and_swelling")
    shares: dict[Habit, float] = {}
    habits: tuple[Habit, Habit] = ("home", "transfer")
    for habit in habits:
        table = codebook(habit).tables["icd10"]
        drawn = table.draw(np.full(4_000, joint), generator)
        assert set(table.concept[drawn]) == {joint}
        shares[habit] = float(table.preferred_by_home[drawn].mean())
    assert shares["home"] > 0.7
    assert shares["transfer"] < 0.3


def test_sites_that_share_no_synonym_write_their_own_alone() -> None:
    generator = np.random.default_rng(0)
    habits: tuple[Habit, Habit] = ("home", "transfer")
    for book in ("icd10", "icd9", "procedure10", "procedure9"):
        drawn: dict[Habit, set[str]] = {}
        for habit in habits:
            table = codebook(habit, 0.0).tables[book]
            written = np.flatnonzero(table.available)
            rows = table.draw(np.repeat(written, 2_000), generator)
            assert set(table.concept[rows]) == set(written)
            wanted = table.preferred_by_home if habit == "home" else ~table.preferred_by_home
            both = set(table.concept[table.preferred_by_home]) & set(
                table.concept[~table.preferred_by_home]
            )
            has_own = np.isin(table.concept[rows], list(both))
            assert wanted[rows][has_own].all()
            drawn[habit] = set(table.code[rows][has_own])
        # A code of two concepts is still one code.
        assert len(drawn["home"] & drawn["transfer"]) == 0


def test_sites_differ_in_how_they_code_drugs() -> None:
    generator = np.random.default_rng(0)
    heart = np.full(4_000, concept_names().index("hypertension_and_heart"))
    home, transfer = codebook("home").tables["drug"], codebook("transfer").tables["drug"]
    of_home = (home.code_system[home.draw(heart, generator)] == "RxNorm").mean()
    of_transfer = (transfer.code_system[transfer.draw(heart, generator)] == "RxNorm").mean()
    assert of_home > 0.65
    assert of_transfer < 0.35


def test_both_sites_have_the_same_concepts_and_weights() -> None:
    columns = ["concept", "log_hazard_weight", "book", "code_system", "code", "preferred_by"]
    coded = pl.col("book") != "drug"
    home = codebook("home").truth().filter(coded).select(columns)
    assert home.equals(codebook("transfer").truth().filter(coded).select(columns))


def test_terminology_leaves_gaps_on_purpose() -> None:
    book = codebook("home")
    listed = set(terminology(book)["code"])
    missing = [item for item in book.titles if item.code not in listed]
    assert 0.04 < len(missing) / len(book.titles) < 0.12
    assert all(item.code_system.startswith("ICD") for item in missing)
    assert not listed & {item.code for item in UNDESCRIBED}
    assert terminology(book)["code_description"].str.len_chars().min() > 0
    assert "CPT" not in set(terminology(book)["code_system"])


def test_titles_are_those_of_the_packaged_release() -> None:
    assert packaged_titles("ICD-10-CM")["M25561"] == "Pain in right knee"
    assert dotted("ICD-10-CM", "M25561") == "M25.561"
    assert dotted("ICD-9-CM", "E8120") == "E812.0"
    assert dotted("ICD-9-PCS", "8191") == "81.91"


def test_an_unknown_prefix_is_named() -> None:
    with pytest.raises(ValueError, match="Q9Q"):
        codes_with_prefix("ICD-10-CM", "Q9Q", 5)


@pytest.mark.parametrize(
    ("style", "written"),
    [(0, "09001000101"), (1, "09001-0001-01"), (2, "9001-0001-01"), (3, "09001-0001-1"),
     (4, "9001000101")],
)  # fmt: skip
def test_ndc_is_written_in_every_form(style: int, written: str) -> None:
    assert written_ndc("09001000101", style) == written


def test_ndcs_are_eleven_digits_and_belong_to_one_product() -> None:
    ndcs = [ndc for item in products() for ndc in item.ndcs]
    assert all(len(ndc) == 11 and ndc.isdigit() for ndc in ndcs)
    assert len(set(ndcs)) == len(ndcs)
    rxcuis = [item.rxcui for item in products()]
    assert len(set(rxcuis)) == len(rxcuis)
    assert {name for c in all_concepts() for name in c.ingredients.split()} == {
        item.ingredient for item in products()
    }
