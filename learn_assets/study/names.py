"""Names: the words a study may use for what it chooses."""

from __future__ import annotations

from typing import Literal

Kind = Literal["diagnosis", "procedure", "medication"]
RecordKind = Literal["diagnosis", "procedure", "medication", "lab_result"]
KINDS: tuple[Kind, ...] = ("diagnosis", "procedure", "medication")

FeatureSet = Literal[
    "count",
    "embedding",
    "autoencoder",
    "contrastive_self",
    "contrastive_supervised",
    "learn",
    "stacking",
    "count_without_medication",
    "embedding_without_medication",
    "learn_without_medication",
]
# Each feature set that leaves medications out, and the one it is measured against.
WITHOUT_MEDICATION: dict[str, FeatureSet] = {
    "count_without_medication": "count",
    "embedding_without_medication": "embedding",
    "learn_without_medication": "learn",
}
SurvivalLearnerName = Literal["cox", "survival_forest"]
Imbalance = Literal["none", "weights", "smote"]
SensitivityAnalysis = Literal["temporal", "learning_curve", "imbalance", "selection", "site"]
LearnerName = Literal["svm", "random_forest", "xgboost", "mlp", "elastic_net"]

DEFAULT_HALF_LIFE_DAYS = 365.0

BackendName = Literal[
    "auto", "transformers", "sentence_transformers", "openvino", "openai_server", "ray"
]
