"""Transfer in a cell: what other sites' models achieve here, and how the sites differ."""

from __future__ import annotations

import polars as pl

from learn_assets.reporting.context import CellContext, not_made
from learn_assets.reporting.document import Column, Section, Table
from learn_assets.reporting.labels import feature_set_label, in_words, learner_label
from learn_assets.reporting.sections.long_tables import models_of, rows_of, single
from learn_assets.reporting.values import estimate, number, words

_TITLE = "Models of other sites"
_MODES = {
    "own": "this site's own",
    "as_is": "as it is",
    "recalibrated_intercept": "recalibrated: intercept",
    "recalibrated_slope": "recalibrated: intercept and slope",
    "refitted": "refitted here",
}
_METRICS = (
    ("auroc", "AUROC", False),
    ("auroc_minus_own", "AUROC minus own", True),
    ("brier", "Brier score", False),
    ("brier_minus_own", "Brier minus own", True),
    ("calibration_slope", "Calibration slope", False),
    ("calibration_intercept", "Calibration intercept", False),
)
_ASPECTS = {
    "features_found": "Features of the model, and found here",
    "features_not_in_model": "Features only here",
    "case_mix": "Case mix (mean)",
    "count_feature": "Counts that moved most (mean of log(1 + count))",
}


def transfer(cell: CellContext) -> Section:
    """Return performance of foreign models by way of use, and the differences of the sites."""
    if not cell.study.external_models:
        return cell.without("transfer", _TITLE, "the study names none")
    validation = cell.of_cell("external_validation")
    if validation is None:
        return cell.without("transfer", _TITLE, not_made("external_validation"))
    if validation.is_empty():
        why = "no model of another site fits this window and encoder"
        return cell.without("transfer", _TITLE, why)
    return cell.section(
        "transfer", _TITLE, _performance(validation), _differences(cell.of_cell("site_differences"))
    )


def _performance(frame: pl.DataFrame) -> Table:
    rows = []
    for model in frame["model"].unique().sort():
        of_model = frame.filter(pl.col("model") == model)
        for name in models_of(of_model):
            own = rows_of(of_model, name)
            for mode, label in _MODES.items():
                used = own.filter(pl.col("mode") == mode)
                if used.is_empty():
                    continue
                rows.append(
                    (
                        words(model),
                        words(feature_set_label(name.feature_set)),
                        words(learner_label(name.learner)),
                        words(label),
                        *(estimate(single(used, m), 3, signed=s) for m, _, s in _METRICS),
                    )
                )
    return Table(
        "external_validation",
        "Models of other sites on this site's labeled patients, 95 % intervals",
        (
            Column("model", "Model", numeric=False),
            Column("features", "Features", numeric=False),
            Column("learner", "Learner", numeric=False),
            Column("mode", "Used", numeric=False),
            *(Column(metric, title) for metric, title, _ in _METRICS),
        ),
        tuple(rows),
        note="Differences are paired, on the same patients. Recalibration is fitted in the other "
        "folds.",
        grouped=True,
    )


def _differences(frame: pl.DataFrame | None) -> Table | None:
    if frame is None or frame.is_empty():
        return None
    return Table(
        "site_differences",
        "How this site differs from the sites of those models",
        (
            Column("model", "Model", numeric=False),
            Column("aspect", "Aspect", numeric=False),
            Column("name", "What", numeric=False),
            Column("source", "There"),
            Column("here", "Here"),
            Column("difference", "Standardized difference"),
        ),
        tuple(
            (
                words(row["model"]),
                words(_ASPECTS.get(row["aspect"], in_words(row["aspect"]))),
                words(row["name"].replace("|", " ")),
                number(row["source"], _digits(row["aspect"])),
                number(row["here"], _digits(row["aspect"])),
                number(row["standardized_difference"], 2, signed=True),
            )
            for row in frame.iter_rows(named=True)
        ),
        grouped=True,
    )


def _digits(aspect: str) -> int:
    return 0 if aspect.startswith("features") else 2
