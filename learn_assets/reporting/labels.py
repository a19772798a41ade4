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
    "cox": "Cox regression",
    "survival_forest": "Survival forest",
}
_PLAIN_WORDS = ("elastic_net", "random_forest", "survival_forest")
METRICS = {
    "scaled_brier": "Scaled Brier score",
    "log_loss": "Log loss",
    "positive_predictive_value": "PPV",
    "negative_predictive_value": "NPV",
    "ici": "ICI",
    "e50": "E50",
    "e90": "E90",
}


def feature_set_label(name: str) -> str:
    """Return the words for a feature set; an unknown one is shown as it is written."""
    return FEATURE_SETS.get(name, name.replace("_", " "))


def learner_label(name: str) -> str:
    """Return the words for a learner; an unknown one is shown as it is written."""
    return LEARNERS.get(name, name.replace("_", " "))


def learner_label_inside(name: str) -> str:
    """Return the words for a learner as they stand inside a sentence; names keep their case."""
    label = learner_label(name)
    return label.lower() if name in _PLAIN_WORDS else label


def feature_set_rank(name: str) -> int:
    """Return where a feature set stands on the ladder, simplest first, unknown ones last."""
    order = list(FEATURE_SETS)
    return order.index(name) if name in order else len(order)


def metric_label(name: str) -> str:
    """Return the words for a metric; an unknown one is shown as it is written."""
    measure, _, specificity = name.partition("_at_specificity_")
    if specificity:
        return f"{METRICS.get(measure, in_words(measure))} at specificity {specificity}"
    return METRICS.get(name, in_words(name))


def in_words(identifier: str) -> str:
    """Return an identifier such as `lupus_nephritis` as words that begin a sentence."""
    text = identifier.replace("_", " ")
    return text[:1].upper() + text[1:]
