"""Severe outcomes in a cell: lupus nephritis first, then the others the study names."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.comparison_words import model_label
from learn_assets.reporting.context import CellContext, not_made, note_of_reasons, quiet
from learn_assets.reporting.document import (
    Block,
    Column,
    Figure,
    Paragraph,
    Section,
    Series,
    Table,
    absent,
)
from learn_assets.reporting.labels import feature_set_label, in_words
from learn_assets.reporting.outcome_figures import Curve, Ratio, incidence, ratios
from learn_assets.reporting.places import CellSection
from learn_assets.reporting.sections.long_tables import (
    a_model_a_feature_set,
    estimate_of,
    rows_of,
    shown_model,
    single,
)
from learn_assets.reporting.values import Value, count_of, estimate, rounded_column, words

_TITLE = "Severe outcomes"
_POPULATIONS = {"all": "Everyone", "progressed": "Those who progressed"}
_SHORT_POPULATIONS = {"all": "everyone", "progressed": "progressed"}
_COUNTS = (
    ("patients", "Patients"),
    ("prevalent", "Had it before"),
    ("events", "Outcomes"),
    ("deaths", "Deaths first"),
)
_HAZARDS = (
    ("hazard_ratio_per_sd", "HR per SD"),
    ("hazard_ratio_per_sd_adjusted", "HR per SD, adjusted"),
    ("hazard_ratio_per_decile", "HR per decile"),
)
_ODDS = (
    ("odds_ratio_top_decile", "OR, top decile"),
    ("odds_ratio_top_decile_adjusted", "OR, top decile, adjusted"),
)
_UPPER_DECILES = range(6, 11)
_GROUP_NAMES = {1: "lowest quarter", 2: "second quarter", 3: "third quarter", 4: "highest quarter"}


def severe_outcomes(cell: CellContext) -> Section:
    """Return incidence by score group, hazard and odds ratios of every severe outcome."""
    parts = [cell.of_cell(name) for name in ("nephritis_evaluation", "severe_outcome_evaluation")]
    present = [part for part in parts if part is not None]
    if not present:
        return cell.without("severe-outcomes", _TITLE, not_made("severe_outcome_evaluation"))
    frame = pl.concat(present)
    model = shown_model(frame, cell.reference)
    if model is None:
        why = "the study names no severe outcome, or no model has out-of-fold scores"
        return cell.without("severe-outcomes", _TITLE, why)
    own = rows_of(frame, model)
    return cell.section(
        "severe-outcomes",
        _TITLE,
        _introduction(cell, model),
        *_incidence_figures(cell, own),
        _ratio_figure(cell, own),
        _ratio_table(own, model),
        _upper_table(own, model),
        _by_feature_set(cell, frame),
        quiet(note_of_reasons(own)),
    )


def _introduction(cell: CellContext, model: ModelName) -> Paragraph:
    weights = cell.study.survival.charlson_weights
    return Paragraph(
        f"The out-of-fold score of {model_label(model)} against later severe outcomes. Time zero "
        "is the index date; whoever has the outcome by then is left out; death competes. Adjusted: "
        f"for age, sex and the Charlson index ({weights} weights, rheumatic item left out)."
    )


def _outcomes(frame: pl.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame["outcome"]))


def _incidence_figures(cell: CellContext, own: pl.DataFrame) -> list[Block]:
    blocks: list[Block] = []
    lacking = []
    for outcome in _outcomes(own):
        curves = _curves(_part(own, outcome, "all"))
        name = in_words(outcome)
        svg = incidence(
            curves,
            f"Cumulative incidence by score: {name}",
            f"{cell.anchor}-{outcome}".replace("_", "-"),
        )
        if svg is None:
            lacking.append(name.lower())
            continue
        caption = f"{name} by quarter of the score (Aalen-Johansen, bands: 95 % intervals)."
        if len(curves) < len(_GROUP_NAMES):
            caption += f" Left out: quarters with fewer than {cell.minimum_cell} outcomes."
        series = tuple(_series(curve) for curve in curves)
        blocks.append(Figure(f"incidence-{outcome}", svg, caption, series))
    if lacking:
        why = f"no quarter of the score has {cell.minimum_cell} outcomes or more"
        blocks.append(absent(f"Incidence of {', '.join(lacking)}", why))
    return blocks


def _curves(rows: pl.DataFrame) -> list[Curve]:
    """Return the incidence of each score group that is known up to the horizon."""
    points = rows.filter(
        pl.col("metric") == "cumulative_incidence",
        pl.col("estimate").is_not_null(),
        pl.col("horizon_days").is_not_null(),
    ).sort("group", "horizon_days")
    horizon = points["horizon_days"].max()
    curves = []
    for (group,), part in points.group_by("group", maintain_order=True):
        if part["horizon_days"][-1] != horizon or not isinstance(group, int):
            continue
        values = [estimate_of(row) for row in part.iter_rows(named=True)]
        curves.append(
            Curve(
                in_words(_GROUP_NAMES.get(group, f"group {group}")),
                tuple(part["horizon_days"]),
                tuple(value for value in values if value is not None),
                group=group,
            )
        )
    return curves


def _series(curve: Curve) -> Series:
    values = curve.values
    return Series(
        curve.name,
        (
            ("days", tuple(float(day) for day in curve.days)),
            ("incidence", rounded_column([value.value for value in values])),
            ("lower", rounded_column([value.lower for value in values])),
            ("upper", rounded_column([value.upper for value in values])),
        ),
    )


def _ratio_figure(cell: CellContext, own: pl.DataFrame) -> Block | None:
    rows = [
        Ratio(in_words(outcome), _SHORT_POPULATIONS[population], found)
        for outcome in _outcomes(own)
        for population in _POPULATIONS
        for found in [single(_part(own, outcome, population), "hazard_ratio_per_sd_adjusted")]
        if found is not None
    ]
    title = "Adjusted hazard ratios per SD of the score"
    svg = ratios(rows, title, "Hazard ratio per SD (log scale)", f"{cell.anchor}-severe-ratios")
    if svg is None:
        return None
    return Figure(
        "severe_ratios",
        svg,
        f"{title}, with 95 % intervals.",
        tuple(
            Series(
                f"{row.heading}, {row.name}",
                tuple((name, rounded_column([part], 2)) for name, part in vars(row.value).items()),
            )
            for row in rows
        ),
    )


def _part(frame: pl.DataFrame, outcome: str, population: str) -> pl.DataFrame:
    return frame.filter(pl.col("outcome") == outcome, pl.col("population") == population)


def _ratio_table(own: pl.DataFrame, model: ModelName) -> Table:
    rows = []
    for outcome in _outcomes(own):
        for population, name in _POPULATIONS.items():
            part = _part(own, outcome, population)
            rows.append(
                (
                    words(in_words(outcome)),
                    words(name),
                    *(count_of(single(part, metric)) for metric, _ in _COUNTS),
                    *(estimate(single(part, metric), 2) for metric, _ in _HAZARDS),
                )
            )
    return Table(
        "severe_outcomes",
        f"Severe outcomes against the score of {model_label(model)}, 95 % intervals",
        (
            Column("outcome", "Outcome", numeric=False),
            Column("population", "Who", numeric=False),
            *(Column(metric, title) for metric, title in (*_COUNTS, *_HAZARDS)),
        ),
        tuple(rows),
        note="HR: hazard ratio (Cox) of the logit of the score.",
        grouped=True,
    )


def _upper_table(own: pl.DataFrame, model: ModelName) -> Table | None:
    """Return what is known of the upper deciles; outcomes of which nothing is are left out."""
    rows = []
    for outcome in _outcomes(own):
        for population, name in _POPULATIONS.items():
            part = _part(own, outcome, population)
            found = [
                *(single(part, "hazard_ratio_decile", group=decile) for decile in _UPPER_DECILES),
                *(single(part, metric) for metric, _ in _ODDS),
            ]
            if any(value is not None for value in found):
                cells = (estimate(value, 2) for value in found)
                rows.append((words(in_words(outcome)), words(name), *cells))
    if not rows:
        return None
    return Table(
        "upper_deciles",
        f"Upper deciles of the score of {model_label(model)}, 95 % intervals",
        (
            Column("outcome", "Outcome", numeric=False),
            Column("population", "Who", numeric=False),
            *(Column(f"decile_{decile}", f"HR, decile {decile}") for decile in _UPPER_DECILES),
            *(Column(metric, title) for metric, title in _ODDS),
        ),
        tuple(rows),
        note="HR: hazard ratio against the lower half. OR: odds ratio of the outcome by the "
        "horizon, top decile against the rest.",
        grouped=True,
    )


def _by_feature_set(cell: CellContext, frame: pl.DataFrame) -> Table | None:
    models = a_model_a_feature_set(frame, cell.reference.learner)
    if len(models) < 2:
        return None
    outcomes = _outcomes(frame)
    return Table(
        "severe_by_features",
        "Hazard ratio per SD of the score by features, everyone, unadjusted",
        (
            Column("features", "Features", numeric=False),
            *(Column(outcome, in_words(outcome)) for outcome in outcomes),
        ),
        tuple(
            (
                words(feature_set_label(model.feature_set)),
                *_per_sd(rows_of(frame, model), outcomes),
            )
            for model in models
        ),
    )


def _per_sd(own: pl.DataFrame, outcomes: Sequence[str]) -> list[Value]:
    everyone = own.filter(pl.col("population") == "all")
    return [
        estimate(single(everyone.filter(pl.col("outcome") == name), "hazard_ratio_per_sd"), 2)
        for name in outcomes
    ]


SECTION = CellSection(50, severe_outcomes)
