"""New sites: models of all other institutions of a network, judged at each one."""

from __future__ import annotations

import polars as pl

from learn_assets.analyses.site_holdout.computation import DIFFERENCE, site_splits
from learn_assets.analyses.site_holdout.figure import site_forest
from learn_assets.evaluation.comparison import ModelName
from learn_assets.reporting.context import CellContext, not_made
from learn_assets.reporting.document import Block, Column, Figure, Paragraph, Section, Series, Table
from learn_assets.reporting.labels import (
    feature_set_label,
    learner_label,
    learner_label_inside,
)
from learn_assets.reporting.places import CellSection
from learn_assets.reporting.sections.long_tables import (
    a_model_a_feature_set,
    models_of,
    rows_of,
    single,
)
from learn_assets.reporting.values import (
    Value,
    count_of,
    estimate,
    number,
    rounded_column,
    words,
)

_TITLE = "New sites"
_METRICS = (
    ("auroc", "AUROC", 3),
    ("auroc_cross_validation", "AUROC, cross-validation", 3),
    (DIFFERENCE, "Difference", 3),
    ("brier", "Brier score", 3),
    ("calibration_intercept", "Calibration intercept", 2),
    ("calibration_slope", "Calibration slope", 2),
)
_SUMMARY = (("auroc", "AUROC", 3), (DIFFERENCE, "Difference", 3), *_METRICS[-2:])


def sites(cell: CellContext) -> Section:
    """Return the leave-one-site-out results of a cell, or why there are none."""
    frame = cell.of_cell("site_holdout")
    if frame is None:
        return cell.without("sites", _TITLE, not_made("site_holdout"))
    if frame.is_empty():
        return cell.without("sites", _TITLE, _why_none(cell))
    drawn = _forests(cell, frame)
    tables = (_over_all(frame), _by_site(frame, folded=bool(drawn)))
    return cell.section("sites", _TITLE, _lead(frame), *drawn, *tables)


def _why_none(cell: CellContext) -> str:
    if "site" not in cell.study.sensitivity.analyses:
        return "the study does not ask for it"
    cohort, care_site = cell.of_window("cohort"), cell.table("care_site")
    if cohort is None or care_site is None:
        return not_made("cohort" if cohort is None else "care_site")
    reason = site_splits(cohort, care_site, cell.minimum_cell).reason
    return reason or "outside one of the care sites there are too few cases or controls"


def _lead(frame: pl.DataFrame) -> Paragraph:
    judged, too_small = (_count(frame, name) for name in ("sites", "sites_too_small"))
    text = (
        f"Leave-one-site-out: for each of {judged} care sites, models learned from the patients of "
        "all others alone and judge those of the site."
    )
    if too_small:
        text += f" {too_small} further with too few cases or controls to judge: learned from only."
    return Paragraph(text)


def _count(frame: pl.DataFrame, metric: str) -> int:
    found = single(frame, metric)
    return int(found.value) if found else 0


def _forests(cell: CellContext, frame: pl.DataFrame) -> list[Block]:
    blocks: list[Block] = []
    for model in a_model_a_feature_set(frame, cell.reference.learner):
        name = f"{cell.anchor}-sites-{model.feature_set.replace('_', '-')}"
        svg = None if model.feature_set == "age_sex" else site_forest(frame, model, name)
        if svg is None:
            continue
        own = rows_of(frame, model)
        caption = (
            f"{feature_set_label(model.feature_set)} with {learner_label_inside(model.learner)} at "
            "sites it did not learn from, 95 % intervals; over all sites by random effects, with "
            "the interval that 95 % of further sites are expected in (three sites or more)."
        )
        blocks.append(Figure(f"site_holdout-{model.feature_set}", svg, caption, _series(own)))
    return blocks


def _series(own: pl.DataFrame) -> tuple[Series, ...]:
    names = ("estimate", "lower", "upper", "prediction_lower", "prediction_upper")
    return tuple(
        Series(
            f"{row['care_site'] or 'all sites'}, {row['metric'].replace('_', ' ')}",
            tuple((name, rounded_column([row[name]])) for name in names),
        )
        for row in own.filter(
            pl.col("metric").is_in(["auroc", "auroc_cross_validation"])
        ).iter_rows(named=True)
    )


def _by_site(frame: pl.DataFrame, *, folded: bool) -> Table:
    at_sites = frame.filter(pl.col("care_site").is_not_null())
    names = at_sites["care_site"].unique().sort().to_list()
    return Table(
        "site_holdout",
        "Performance at each care site of models that learned from all others, 95 % intervals",
        (
            Column("features", "Features", numeric=False),
            Column("learner", "Learner", numeric=False),
            Column("care_site", "Site", numeric=False),
            Column("n", "Patients"),
            Column("cases", "Cases"),
            *(Column(metric, title) for metric, title, _ in _METRICS),
        ),
        tuple(
            (
                *_model_cells(model),
                words(name),
                count_of(single(own, "n")),
                count_of(single(own, "cases")),
                *_estimates(own, _METRICS),
            )
            for model in models_of(at_sites)
            for name in names
            for own in [rows_of(at_sites, model).filter(pl.col("care_site") == name)]
        ),
        note="The cross-validation judges the same patients by models that know their site, and "
        "learn from other numbers of patients. The difference compares pairs of one fold. A dash "
        "stands where a small count could be worked out, or no estimate exists.",
        grouped=True,
        folded=folded,
    )


def _over_all(frame: pl.DataFrame) -> Table:
    together = frame.filter(pl.col("care_site").is_null())
    left_out = [
        f"{found.value:,.0f} labeled patients {what}"
        for metric, what in (
            ("too_small_n", "of sites that are too small"),
            ("without_care_site_n", "without a care site"),
        )
        if (found := single(together, metric)) is not None and found.value
    ]
    not_judged = f" Not judged: {'; '.join(left_out)}." if left_out else ""
    return Table(
        "site_holdout_summary",
        "Over all sites, 95 % intervals of the mean, and of a further site",
        (
            Column("features", "Features", numeric=False),
            Column("learner", "Learner", numeric=False),
            *(Column(metric, title) for metric, title, _ in _SUMMARY),
            Column("further_site", "AUROC at a further site"),
            Column("between_sites", "SD between sites (logit)"),
        ),
        tuple(
            (*_model_cells(model), *_estimates(own, _SUMMARY), *_further(own))
            for model in models_of(together)
            for own in [rows_of(together, model)]
        ),
        note="Random effects: restricted maximum likelihood, intervals by Hartung and Knapp, AUROC "
        "on the logit scale; empty where a site has no estimate with limits. With few sites these "
        f"intervals are wide, as they must be.{not_judged}",
        grouped=True,
    )


def _further(own: pl.DataFrame) -> tuple[Value, Value]:
    found = own.filter(pl.col("metric") == "auroc")
    if found.is_empty():
        return number(None), number(None)
    row = found.row(0, named=True)
    lower, upper = row["prediction_lower"], row["prediction_upper"]
    between = number(row["between_sites"], 2)
    if lower is None or upper is None:
        return number(None), between
    ends = [number(end, 3) for end in (lower, upper)]
    text = f"{ends[0].text} to {ends[1].text}"
    return Value(text, None, ends[0].number, ends[1].number), between


def _estimates(own: pl.DataFrame, metrics: tuple[tuple[str, str, int], ...]) -> tuple[Value, ...]:
    return tuple(
        estimate(single(own, metric), digits, signed=metric == DIFFERENCE)
        for metric, _, digits in metrics
    )


def _model_cells(model: ModelName) -> tuple[Value, Value]:
    return words(feature_set_label(model.feature_set)), words(learner_label(model.learner))


SECTION = CellSection(80, sites)
