"""Study: everything a user may choose, read from one YAML file and validated.

What belongs here: the typed form of a study file, a module a part, and nothing that acts on it.
Reading the file and turning validation errors into messages with line numbers lives in
`study/file.py`.
"""

from learn_assets.study.base import BaseStudy, LakeOptions, PrivacyOptions
from learn_assets.study.cohort_rules import (
    AgeRule,
    CodeEntry,
    CohortRules,
    ConditionalCodes,
    Exclusion,
    IndexEventRule,
    MinimumRecords,
    OutcomeRule,
    SevereOutcome,
)
from learn_assets.study.dates import DateOptions
from learn_assets.study.features import (
    CountOptions,
    EncoderChoice,
    NarrativeOptions,
    VocabularyOptions,
)
from learn_assets.study.models import (
    ChampionRule,
    ExternalModel,
    LearningCurveOptions,
    ModelingOptions,
    ReductionOptions,
    SensitivityOptions,
    SurvivalOptions,
    TemporalOptions,
    TuningOptions,
)
from learn_assets.study.names import (
    DEFAULT_HALF_LIFE_DAYS,
    KINDS,
    WITHOUT_MEDICATION,
    BackendName,
    FeatureSet,
    Imbalance,
    Kind,
    LearnerName,
    RecordKind,
    SensitivityAnalysis,
    SurvivalLearnerName,
)
from learn_assets.study.progression import Study
from learn_assets.study.quality import ExpectationChoice, QualityOptions
from learn_assets.study.sources import (
    MedsCodeRule,
    MedsSource,
    OmopSource,
    Source,
    SyntheticSource,
    TrinetxSource,
)

__all__ = [
    "DEFAULT_HALF_LIFE_DAYS",
    "KINDS",
    "WITHOUT_MEDICATION",
    "AgeRule",
    "BackendName",
    "BaseStudy",
    "ChampionRule",
    "CodeEntry",
    "CohortRules",
    "ConditionalCodes",
    "CountOptions",
    "DateOptions",
    "EncoderChoice",
    "Exclusion",
    "ExpectationChoice",
    "ExternalModel",
    "FeatureSet",
    "Imbalance",
    "IndexEventRule",
    "Kind",
    "LakeOptions",
    "LearnerName",
    "LearningCurveOptions",
    "MedsCodeRule",
    "MedsSource",
    "MinimumRecords",
    "ModelingOptions",
    "NarrativeOptions",
    "OmopSource",
    "OutcomeRule",
    "PrivacyOptions",
    "QualityOptions",
    "RecordKind",
    "ReductionOptions",
    "SensitivityAnalysis",
    "SensitivityOptions",
    "SevereOutcome",
    "Source",
    "Study",
    "SurvivalLearnerName",
    "SurvivalOptions",
    "SyntheticSource",
    "TemporalOptions",
    "TrinetxSource",
    "TuningOptions",
    "VocabularyOptions",
]
