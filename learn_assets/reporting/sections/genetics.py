"""Genetics in a cell: what the site's genetic score adds to the clinical one."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.comparison_words import model_label
from learn_assets.reporting.context import CellContext, not_made, note_of_reasons, quiet
from learn_assets.reporting.document import Column, Section, Table
from learn_assets.reporting.sections.long_tables import (
    a_model_a_feature_set,
    rows_of,
    shown_model,
    single,
)
from learn_assets.reporting.values import Value, count_of, estimate, p_value, share, words

_TITLE = "Genetics"
_THIRDS = {1: "Lowest", 2: "Middle", 3: "Highest"}


def genetics(cell: CellContext) -> Section:
    """Return added value of the genetic score, and risk by genetic third within score thirds."""
    frame = cell.of_cell("genetic_stratification")
    if frame is None:
        return cell.without("genetics", _TITLE, not_made("genetic_stratification"))
    model = shown_model(frame, cell.reference)
    if model is None:
        why = "the site has no genetic score for a labeled patient"
        return cell.without("genetics", _TITLE, why)
    own = rows_of(frame, model)
    if own["estimate"].drop_nulls().is_empty():
        why = note_of_reasons(own).removeprefix("Where nothing is shown: ").rstrip(".")
        return cell.without("genetics", _TITLE, why)
    models = a_model_a_feature_set(frame, cell.reference.learner)
    return cell.section(
        "genetics",
        _TITLE,
        _ratios(models, frame),
        _gains(models, frame),
        _risks(own, model),
        quiet(note_of_reasons(own)),
    )


def _ratios(models: Sequence[ModelName], frame: pl.DataFrame) -> Table:
    return Table(
        "genetic_value",
        "Ratios per standard deviation of the genetic score, 95 % intervals",
        (
            Column("model", "Clinical score", numeric=False),
            Column("patients", "Patients"),
            Column("cases", "Cases"),
            Column("or_alone", "OR, alone"),
            Column("or_given_score", "OR, given the score"),
            Column("likelihood_ratio_p", "p (likelihood ratio)"),
            Column("hr_given_score", "HR, given the score"),
            Column("interaction_p", "p (interaction)"),
        ),
        tuple(
            (
                words(model_label(model)),
                count_of(single(own, "patients")),
                count_of(single(own, "cases")),
                estimate(single(own, "odds_ratio_per_sd"), 2),
                estimate(single(own, "odds_ratio_per_sd_given_score"), 2),
                _p(own, "likelihood_ratio_p"),
                estimate(single(own, "hazard_ratio_per_sd_given_score"), 2),
                _p(own, "interaction_p"),
            )
            for model in models
            for own in [rows_of(frame, model)]
        ),
        note="OR: odds ratio, HR: hazard ratio.",
    )


def _gains(models: Sequence[ModelName], frame: pl.DataFrame) -> Table:
    return Table(
        "genetic_gain",
        "AUROC with and without the genetic score, on the same patients, 95 % intervals",
        (
            Column("model", "Clinical score", numeric=False),
            Column("auroc_score", "Score alone"),
            Column("auroc_both", "With genetics"),
            Column("auroc_gain", "Gain (DeLong)"),
        ),
        tuple(
            (
                words(model_label(model)),
                estimate(single(own, "auroc_score"), 3),
                estimate(single(own, "auroc_both"), 3),
                estimate(single(own, "auroc_gain"), 3, signed=True),
            )
            for model in models
            for own in [rows_of(frame, model)]
        ),
        note="The weights of both scores are fitted in the other folds.",
    )


def _risks(own: pl.DataFrame, model: ModelName) -> Table | None:
    risks = own.filter(pl.col("metric") == "risk")
    if risks.is_empty():
        return None
    return Table(
        "genetic_strata",
        f"Share of cases by third of the score of {model_label(model)} and of the genetic score",
        (
            Column("score", "Third of the clinical score", numeric=False),
            *(Column(f"genetic_{third}", f"{name} genetic third")
              for third, name in _THIRDS.items()),
        ),
        tuple(
            (
                words(name),
                *(
                    share(single(risks, "risk", score_group=third, genetic_group=genetic))
                    for genetic in _THIRDS
                ),
            )
            for third, name in _THIRDS.items()
        ),
    )  # fmt: skip


def _p(frame: pl.DataFrame, metric: str) -> Value:
    found = single(frame, metric)
    return p_value(found.value if found else None)
