"""Contracts of the sensitivity analyses of a cell, and of the leaderboards over all cells."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.records import Table

_FEATURE_SET, _LEARNER = "Feature set.", "Learner."
_ESTIMATE = "Value; empty when undefined."
_LOWER = "Lower end of the 95 % interval."
_UPPER = "Upper end of the 95 % interval."


class RepeatedCrossValidation(Table):
    """AUROC of each cross-validation and over all of them, which differ in their folds."""

    feature_set: str = pa.Field(description=_FEATURE_SET)
    learner: str = pa.Field(description=_LEARNER)
    repeat: pl.Int32 = pa.Field(nullable=True, ge=1, description="Empty: over all repeats.")
    auroc: pl.Float64 = pa.Field(ge=0, le=1, description="Within folds; over all repeats: mean.")
    lower: pl.Float64 = pa.Field(
        nullable=True, description=f"{_LOWER} DeLong; over all repeats: Nadeau and Bengio."
    )
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)
    standard_deviation: pl.Float64 = pa.Field(
        nullable=True, ge=0, description="Between repeats; empty for a single repeat."
    )


class TemporalValidation(Table):
    """Models of earlier patients on later ones, and who is in either part."""

    cut_date: pl.Date = pa.Field(description="First index date of the later patients.")
    feature_set: str = pa.Field(description=_FEATURE_SET)
    learner: str = pa.Field(description=_LEARNER)
    metric: str = pa.Field(
        description="As in `performance`, of the later patients; `training_...` and "
        "`left_out_...` are about the earlier ones."
    )
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)


class LearningCurve(Table):
    """AUROC by number of training patients, always on the same held-out folds."""

    feature_set: str = pa.Field(description=_FEATURE_SET)
    learner: str = pa.Field(description=_LEARNER)
    training_patients: pl.Int64 = pa.Field(ge=1, description="Patients a model learned from.")
    draws: pl.Int32 = pa.Field(ge=1, description="Training sets of that size in each fold.")
    auroc: pl.Float64 = pa.Field(ge=0, le=1, description="Within folds, mean of the draws.")
    lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)


class ImbalanceSensitivity(Table):
    """What treating rare cases otherwise does to ranks and probabilities, same folds."""

    imbalance: str = pa.Field(isin=["none", "weights", "smote"], description="Treatment.")
    feature_set: str = pa.Field(description=_FEATURE_SET)
    learner: str = pa.Field(description=_LEARNER)
    metric: str = pa.Field(
        description="As in `performance`; `..._minus_none` is a paired difference."
    )
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)


class NestedSelection(Table):
    """Scores of patients by models of the other parts, and the AUROC among those alone."""

    patient_id: str = pa.Field(unique=True, description="Person.")
    part: pl.Int32 = pa.Field(ge=0, description="Part of the study's patients, same in all cells.")
    inner_auroc: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, description="Cross-validated among the other parts alone."
    )
    probability: pl.Float64 = pa.Field(ge=0, le=1, description="Probability of being a case.")
    label: pl.Int8 = pa.Field(isin=[0, 1], description="1 case, 0 control.")


class SiteHoldout(Table):
    """Models of all other institutions at each one of a network, and over the sites together."""

    care_site: str = pa.Field(nullable=True, description="Site held out; empty: over all judged.")
    feature_set: str = pa.Field(description=_FEATURE_SET)
    learner: str = pa.Field(description=_LEARNER)
    metric: str = pa.Field(
        description="As in `performance`, at the site; `auroc_cross_validation`: the same patients "
        "by the ordinary cross-validation; `sites...`, `too_small_n` and `without_care_site_n`: "
        "who is judged and who is not."
    )
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(
        nullable=True, description=f"{_LOWER} Over all sites: Hartung and Knapp."
    )
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)
    prediction_lower: pl.Float64 = pa.Field(
        nullable=True, description="Lower end of where 95 % of further sites lie; three sites on."
    )
    prediction_upper: pl.Float64 = pa.Field(nullable=True, description="Upper end of it.")
    between_sites: pl.Float64 = pa.Field(
        nullable=True, ge=0, description="SD between sites; of AUROC on the logit scale."
    )


class Leaderboard(Table):
    """AUROC of every cell, and of a cell that is chosen without the patients that judge it."""

    basis: str = pa.Field(
        isin=["cell", "chosen"],
        description="`chosen`: in each part of the patients, the cell the other parts preferred.",
    )
    window: str = pa.Field(nullable=True, description="Window; empty: chosen among all.")
    encoder: str = pa.Field(nullable=True, description="Encoder; empty: chosen among all.")
    feature_set: str = pa.Field(description=_FEATURE_SET)
    learner: str = pa.Field(description=_LEARNER)
    patients: pl.Int64 = pa.Field(nullable=True, ge=0, description="Empty: too few to show.")
    cases: pl.Int64 = pa.Field(nullable=True, ge=0, description="Empty: too few to show.")
    auroc: pl.Float64 = pa.Field(ge=0, le=1, description="Within folds or parts.")
    lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)
    times_chosen: pl.Int32 = pa.Field(
        nullable=True, ge=0, description="Parts that chose the cell; empty: not up for choice."
    )
    difference: pl.Float64 = pa.Field(
        nullable=True,
        ge=-1,
        le=1,
        description="AUROC minus that of the study's first encoder in the window, same patients; "
        "encoders only.",
    )
    difference_lower: pl.Float64 = pa.Field(nullable=True, description=_LOWER)
    difference_upper: pl.Float64 = pa.Field(nullable=True, description=_UPPER)
