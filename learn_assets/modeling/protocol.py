"""Protocol: every modeling choice of one window x encoder cell as one typed value."""

from __future__ import annotations

from dataclasses import dataclass, field

from learn_assets.modeling.features import BASELINE, REPRESENTATIONS, ModelFeatureSet
from learn_assets.modeling.learners import ProtocolName
from learn_assets.modeling.preprocessing import PreprocessingOptions
from learn_assets.modeling.representations import RepresentationOptions
from learn_assets.study import Imbalance, LearnerName, ReductionOptions, Study, TuningOptions

BASELINE_LEARNER: LearnerName = "elastic_net"


@dataclass(frozen=True)
class ModelingProtocol:
    """Feature sets, learners, folds and presets; `minimum_cell` bounds what may leave the lake."""

    feature_sets: tuple[ModelFeatureSet, ...] = ("count", "embedding", "learn")
    learners: tuple[LearnerName, ...] = ("elastic_net", "xgboost", "random_forest", "svm", "mlp")
    name: ProtocolName = "recommended"
    folds: int = 5
    seed: int = 123
    include_medication: bool = True
    minimum_patients: int = 11
    minimum_cell: int = 11
    imbalance: Imbalance | None = None
    tuning: TuningOptions = field(default_factory=TuningOptions)
    reduction: ReductionOptions = field(default_factory=ReductionOptions)
    code_dimensions: int = 32

    @classmethod
    def from_study(cls, study: Study) -> ModelingProtocol:
        """Return the protocol a study asks for."""
        return cls(
            feature_sets=study.models.feature_sets,
            learners=study.models.learners,
            name=study.models.protocol,
            folds=study.models.folds,
            seed=study.models.seed,
            include_medication=study.models.include_medication,
            minimum_patients=study.counts.minimum_patients,
            minimum_cell=study.privacy.minimum_cell,
            imbalance=study.models.imbalance,
            tuning=study.models.tuning,
            reduction=study.models.reduction,
            code_dimensions=study.models.code_dimensions,
        )

    @property
    def preprocessing(self) -> PreprocessingOptions:
        """What is learned in a fold; rare features are dropped, so no bundle can name them."""
        return PreprocessingOptions(
            minimum_patients=max(self.minimum_patients, self.minimum_cell),
            log_counts=self.name == "recommended",
            representations=RepresentationOptions(
                reduction=self.reduction,
                learned=tuple(name for name in REPRESENTATIONS if name in self.feature_sets),
                dimensions=self.code_dimensions,
                seed=self.seed,
            ),
        )

    @property
    def oversampled(self) -> bool:
        """Whether training rows are balanced with SMOTE, as LEARN does."""
        return self.treatment_of_imbalance == "smote"

    @property
    def balanced(self) -> bool:
        """Whether cases and controls weigh the same in total in every learner."""
        return self.treatment_of_imbalance == "weights"

    @property
    def treatment_of_imbalance(self) -> Imbalance:
        """How rare cases are treated in training."""
        return self.imbalance or ("smote" if self.name == "published" else "none")

    @property
    def grid(self) -> tuple[tuple[ModelFeatureSet, tuple[LearnerName, ...]], ...]:
        """Every feature set with its learners, the age and sex baseline first with one learner."""
        baseline = (BASELINE, (BASELINE_LEARNER,))
        return (baseline, *((feature_set, self.learners) for feature_set in self.feature_sets))
