"""Labels: the words and order in which feature sets, learners and kinds are shown."""

from __future__ import annotations

FEATURE_SETS = {
    "age_sex": "Age and sex",
    "demographics": "Age and sex",
    "count_without_medication": "Counts without medications",
    "count": "Counts",
    "embedding_without_medication": "Embeddings without medications",
    "embedding": "Embeddings",
    "autoencoder": "Autoencoder",
    "contrastive_self": "Contrastive, self-supervised",
    "contrastive_supervised": "Contrastive, supervised",
    "stacking": "Stacking of counts and embeddings",
    "learn_without_medication": "LEARN without medications",
    "learn": "LEARN (counts + embeddings)",
}
LEARNERS = {
    "elastic_net": "Elastic net",
    "xgboost": "XGBoost",
    "random_forest": "Random forest",
    "svm": "SVM",
    "mlp": "MLP",
}


def feature_set_label(name: str) -> str:
    """Return the words for a feature set; an unknown one is shown as it is written."""
    return FEATURE_SETS.get(name, name.replace("_", " "))


def learner_label(name: str) -> str:
    """Return the words for a learner; an unknown one is shown as it is written."""
    return LEARNERS.get(name, name.replace("_", " "))


def feature_set_rank(name: str) -> int:
    """Return where a feature set stands on the ladder, simplest first, unknown ones last."""
    order = list(FEATURE_SETS)
    return order.index(name) if name in order else len(order)
