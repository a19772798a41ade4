"""Genetics in a cell: what the site's genetic score adds to the clinical one."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from learn_assets.analyses.genetics.figure import (
    Gain,
    Stratum,
    genetic_gains,
    genetic_strata,
)
from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.comparison_words import model_label
from learn_assets.reporting.context import CellContext, not_made, note_of_reasons, quiet
from learn_assets.reporting.document import Column, Figure, Section, Series, Table
from learn_assets.reporting.labels import feature_set_label
from learn_assets.reporting.places import CellSection
from learn_assets.reporting.sections.long_tables import (
    a_model_a_feature_set,
    estimate_of,
    rows_of,
    shown_model,
    single,
)
from learn_assets.reporting.values import (
    Value,
    count_of,
    estimate,
    p_value,
    rounded_column,
    share,
    words,
)

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
        *_figures(cell, models, frame, own, model),
        _ratios(models, frame),
        _gains(models, frame),
        _risks(own, model),
        quiet(note_of_reasons(own)),
    )


def _figures(
    cell: CellContext,
    models: Sequence[ModelName],
    frame: pl.DataFrame,
    own: pl.DataFrame,
    model: ModelName,
) -> list[Figure]:
    found = (_strata_figure(cell, own, model), _gain_figure(cell, models, frame))
    return [figure for figure in found if figure is not None]


def _strata_figure(cell: CellContext, own: pl.DataFrame, model: ModelName) -> Figure | None:
    rows = own.filter(pl.col("metric") == "risk").sort("score_group", "genetic_group")
    strata = [
        Stratum(row["score_group"], row["genetic_group"], found)
        for row in rows.iter_rows(named=True)
        if (found := estimate_of(row)) is not None
    ]
    cases, patients = single(own, "cases"), single(own, "patients")
    overall = cases.value / patients.value if cases and patients else None
    svg = genetic_strata(strata, tuple(_THIRDS.values()), overall, f"{cell.anchor}-genetic-strata")
    if svg is None:
        return None
    caption = (
        f"Share of cases with 95 % intervals (Wilson) by third of the score of "
        f"{model_label(model)} and third of the genetic score. Interaction of the two scores: "
        f"p {_equal(_p(own, 'interaction_p').text)} (likelihood ratio)."
    )
    if overall is not None:
        caption += " Dashed: all patients."
    if len(strata) < rows.height:
        few = f"groups with fewer than {cell.minimum_cell} cases or controls"
        caption += f" Withheld: {few}, and what would give one away."
    return Figure("genetic_risk", svg, caption, tuple(_stratum_series(strata)))


def _stratum_series(strata: Sequence[Stratum]) -> list[Series]:
    series = []
    for group, name in _THIRDS.items():
        inside = [stratum for stratum in strata if stratum.genetic_group == group]
        risks = [stratum.risk for stratum in inside]
        columns = (
            ("score_group", tuple(float(stratum.score_group) for stratum in inside)),
            ("risk", rounded_column([risk.value for risk in risks])),
            ("lower", rounded_column([risk.lower for risk in risks])),
            ("upper", rounded_column([risk.upper for risk in risks])),
        )
        series.append(Series(f"{name} genetic third", columns))
    return series


def _gain_figure(
    cell: CellContext, models: Sequence[ModelName], frame: pl.DataFrame
) -> Figure | None:
    gains = [
        Gain(feature_set_label(model.feature_set), model.feature_set, found)
        for model in models
        if (found := single(rows_of(frame, model), "auroc_gain")) is not None
    ]
    svg = genetic_gains(gains, f"{cell.anchor}-genetic-gain")
    if svg is None:
        return None
    return Figure(
        "genetic_auroc",
        svg,
        "Change of AUROC when the genetic score is added to the clinical score of these features, "
        "on the same patients, with 95 % intervals (DeLong).",
        tuple(
            Series(
                gain.name,
                tuple((name, rounded_column([part])) for name, part in vars(gain.change).items()),
            )
            for gain in gains
        ),
    )


def _equal(text: str) -> str:
    return text if text.startswith("<") else f"= {text}"


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
            Column("interaction", "OR of interaction"),
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
                estimate(single(own, "interaction_odds_ratio"), 2),
                _p(own, "interaction_p"),
            )
            for model in models
            for own in [rows_of(frame, model)]
        ),
        note="OR: odds ratio, HR: hazard ratio. Interaction: of the genetic score with the logit "
        "of the clinical score, on the odds scale.",
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
            Column("auroc_gain_p", "p"),
        ),
        tuple(
            (
                words(model_label(model)),
                estimate(single(own, "auroc_score"), 3),
                estimate(single(own, "auroc_both"), 3),
                estimate(single(own, "auroc_gain"), 3, signed=True),
                _p(own, "auroc_gain_p"),
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


SECTION = CellSection(60, genetics)
