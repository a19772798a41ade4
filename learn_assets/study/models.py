"""Models: what is trained and how it is judged, asked again and kept in force."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from learn_assets.study.names import (
    WITHOUT_MEDICATION,
    FeatureSet,
    Imbalance,
    LearnerName,
    SensitivityAnalysis,
    SurvivalLearnerName,
)
from learn_assets.study.section import Section


class TuningOptions(Section):
    """How settings of learners are chosen, in inner folds of each training set."""

    method: Literal["none", "grid", "optuna"] = Field(
        default="none", description="`optuna` needs the extra `tuning`; none: the presets."
    )
    trials: int = Field(default=20, ge=1, le=1000, description="Candidates, for `optuna`.")
    inner_folds: int = Field(default=3, ge=2, le=10)


class ReductionOptions(Section):
    """A linear map of the vectors of each kind to few dimensions, fitted in the training fold."""

    method: Literal["none", "pca", "pls"] = Field(
        default="none", description="`pls` learns from the labels of training patients."
    )
    dimensions: int = Field(default=32, ge=1, le=1024, description="Of each kind.")


class ModelingOptions(Section):
    """Feature sets, learners and the cross-validation protocol."""

    feature_sets: tuple[FeatureSet, ...] = Field(("count", "embedding", "learn"), min_length=1)
    learners: tuple[LearnerName, ...] = Field(
        ("elastic_net", "xgboost", "random_forest", "svm", "mlp"), min_length=1
    )
    protocol: Literal["recommended", "published"] = "recommended"
    folds: int = Field(default=5, ge=2, le=20)
    repeats: int = Field(
        default=1, ge=1, le=50, description="Cross-validations, each with other folds."
    )
    seed: int = Field(default=123, ge=0)
    include_medication: bool = True
    imbalance: Imbalance | None = Field(
        default=None,
        description="How rare cases are treated in training; none: `smote` under protocol "
        "`published`, else `none`. What weights and SMOTE cost: table `imbalance_sensitivity`.",
    )
    tuning: TuningOptions = TuningOptions()
    reduction: ReductionOptions = ReductionOptions()
    code_dimensions: int = Field(
        default=32,
        ge=2,
        le=1024,
        description="Of each kind, in `autoencoder`, `contrastive_self`, `contrastive_supervised`.",
    )

    @model_validator(mode="after")
    def _medications_are_there_to_leave_out(self) -> Self:
        without = [name for name in self.feature_sets if name in WITHOUT_MEDICATION]
        if without and not self.include_medication:
            raise ValueError(
                f"`feature_sets`: {without} leave out medications that `include_medication: false` "
                "never lets in; remove one of the two"
            )
        return self

    @model_validator(mode="after")
    def _no_synthetic_twins_in_inner_folds(self) -> Self:
        smote = (self.imbalance or ("smote" if self.protocol == "published" else "none")) == "smote"
        if smote and self.tuning.method != "none":
            raise ValueError(
                "`tuning`: SMOTE puts relatives of one patient on both sides of an inner fold; "
                "write `imbalance: none` or `weights`"
            )
        return self

    @field_validator("feature_sets", "learners")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("the same name stands twice")
        return value


class SurvivalOptions(Section):
    """Time to event: its learners, and the comorbidity index that hazards are adjusted for."""

    learners: tuple[SurvivalLearnerName, ...] = Field(
        ("cox", "survival_forest"),
        min_length=1,
        description="`survival_forest` needs the extra `survival`; it is left out without it.",
    )
    charlson_weights: Literal["original", "updated"] = Field(
        default="updated", description="Charlson et al. 1987, or Quan et al. 2011."
    )

    @field_validator("learners")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("the same name stands twice")
        return value


class TemporalOptions(Section):
    """Temporal hold-out: models learn from earlier patients and are judged on later ones."""

    cut: date | None = Field(
        default=None, description="First index date of the later patients; none: see `later_share`."
    )
    later_share: float = Field(
        default=0.3, gt=0.0, lt=1.0, description="Share of labeled patients after the cut, about."
    )


class LearningCurveOptions(Section):
    """Learning curve: training sets that double from `smallest` to all labeled patients."""

    smallest: int = Field(default=8, ge=8)
    draws: int = Field(default=2, ge=1, le=50, description="Random orders of training patients.")


class SensitivityOptions(Section):
    """What is asked beyond the main results, with a few models that train quickly."""

    analyses: tuple[SensitivityAnalysis, ...] = Field(
        ("temporal", "learning_curve", "imbalance", "selection", "site"),
        description="Those left out give empty tables; `site` needs a source that states care "
        "sites.",
    )
    feature_sets: tuple[FeatureSet, ...] | None = Field(
        default=None,
        min_length=1,
        description="None: `count`, `embedding` and `learn`, as far as the study has them.",
    )
    learners: tuple[LearnerName, ...] | None = Field(
        default=None,
        min_length=1,
        description="None: `elastic_net` if the study has it, else its first.",
    )
    temporal: TemporalOptions = TemporalOptions()
    learning_curve: LearningCurveOptions = LearningCurveOptions()

    @field_validator("analyses", "feature_sets", "learners")
    @classmethod
    def _distinct(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("the same name stands twice")
        return value


class ChampionRule(Section):
    """When newly trained models take the place of those in force."""

    feature_set: FeatureSet | None = Field(
        default=None, description="Compared by this one; none: `learn`, or the last of the study."
    )
    learner: LearnerName | None = Field(
        default=None, description="Compared by this one; none: the first of the study."
    )
    margin: float = Field(
        default=0.02, ge=0.0, le=0.5, description="AUROC that a challenger may lose at most."
    )


class ExternalModel(Section):
    """A model bundle of another site, evaluated on this site's labeled patients."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="What results call it.")
    path: Path = Field(description="Folder of the bundle.")
    sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="Digest the other site announced; another bundle is refused.",
    )
    accept: tuple[Literal["cohort", "code_lists", "study_name", "training_patients"], ...] = Field(
        default=(),
        description="What you have judged: differences between the studies, that another site gave "
        "its study the same name, or that it learned from patients here and is not external.",
    )
    refit: bool = Field(default=True, description="Also train its features and learners anew here.")
