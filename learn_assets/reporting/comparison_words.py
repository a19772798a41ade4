"""Comparison words: rows of the table `comparisons` as typed results, sentences and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from learn_assets.evaluation.comparison import FALLING_METRICS, ModelName
from learn_assets.reporting.labels import feature_set_label, learner_label_inside
from learn_assets.reporting.markdown import markdown_table

_METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier score"}
_METHODS = {"delong": "DeLong", "bootstrap": "bootstrap of patients"}


@dataclass(frozen=True)
class ComparisonResult:
    """One comparison, first - second; limits and p-values are None where they do not exist."""

    question: str
    first: ModelName
    second: ModelName
    metric: str
    method: str
    difference: float
    lower: float | None
    upper: float | None
    p_value: float | None
    p_value_holm: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the 95 % interval exists and leaves zero out."""
        return self.lower is not None and self.upper is not None and self.lower * self.upper > 0

    @property
    def winner(self) -> ModelName | None:
        """The better model by the interval, None when the interval holds zero or is absent."""
        if not self.excludes_zero:
            return None
        first_is_better = (self.difference > 0) != (self.metric in FALLING_METRICS)
        return self.first if first_is_better else self.second


def comparison_results(comparisons: pl.DataFrame) -> tuple[ComparisonResult, ...]:
    """Return the rows of the table `comparisons`, in its order."""
    return tuple(
        ComparisonResult(
            row["question"],
            ModelName(row["first_feature_set"], row["first_learner"]),
            ModelName(row["second_feature_set"], row["second_learner"]),
            row["metric"],
            row["method"],
            row["difference"],
            row["lower"],
            row["upper"],
            row["p_value"],
            row["p_value_holm"],
        )
        for row in comparisons.iter_rows(named=True)
    )


def sentence(result: ComparisonResult, tests: int) -> str:
    """Return who wins, by how much, and whether the interval leaves zero out, in words.

    A difference that does not stand after correction is no win: the better one `may` be better.
    tests: how many comparisons Holm's correction counted.
    """
    metric = _METRICS.get(result.metric, result.metric)
    winner = result.winner
    if winner is None:
        return (
            f"No difference is shown between {model_label(result.first)} and "
            f"{model_label(result.second)}: {metric} differs by {result.difference:+.3f} "
            f"({_interval(result)}{', which holds zero' if result.lower is not None else ''})"
            f"{_correction(result, tests)}."
        )
    loser = result.second if winner == result.first else result.first
    direction = "lower" if result.metric in FALLING_METRICS else "higher"
    sizes = sorted(abs(limit) for limit in (result.lower, result.upper) if limit is not None)
    method = _METHODS.get(result.method, result.method)
    verb = "wins over" if _stands(result) else "may be better than"
    return (
        f"{model_label(winner)} {verb} {model_label(loser)}: {metric} {direction} by "
        f"{abs(result.difference):.3f} (95 % interval {sizes[0]:.3f} to {sizes[-1]:.3f} by "
        f"{method}, which excludes zero){_correction(result, tests)}."
    )


def comparisons_table(results: Sequence[ComparisonResult], tests: int) -> str:
    """Return comparisons of AUROC by DeLong as a Markdown table, with a sentence for each."""
    heads = ["question", "first", "second", "AUROC difference", "95 % interval", "p", "Holm p"]
    tested = [result for result in results if result.method == "delong"]
    rows = [
        (r.question, model_label(r.first), model_label(r.second), f"{r.difference:+.3f}",
         _limits(r), _p(r.p_value), _p(r.p_value_holm))
        for r in tested
    ]  # fmt: skip
    table = markdown_table(heads, rows)
    return "\n".join([table, "", *(f"- {sentence(result, tests)}" for result in tested)])


def model_label(model: ModelName) -> str:
    """Return a model in words, such as `Counts with XGBoost`."""
    learner = learner_label_inside(model.learner)
    return f"{feature_set_label(model.feature_set)} with {learner}"


def _interval(result: ComparisonResult) -> str:
    if result.lower is None or result.upper is None:
        return "no interval exists"
    method = _METHODS.get(result.method, result.method)
    return f"95 % interval {_limits(result)} by {method}"


def _limits(result: ComparisonResult) -> str:
    if result.lower is None or result.upper is None:
        return "none"
    return f"{result.lower:+.3f} to {result.upper:+.3f}"


def _correction(result: ComparisonResult, tests: int) -> str:
    if result.p_value_holm is None:
        return ""
    text = f"Holm p over {tests} comparisons {_p(result.p_value_holm)}"
    if result.winner is None:
        return f"; {text}"
    held = "it stands" if _stands(result) else "but it does not stand"
    return f"; {held} after correction ({text})"


def _stands(result: ComparisonResult) -> bool:
    """Return whether a difference survives Holm's correction; one that has none is as it is."""
    # 0.05 goes with the 95 % intervals.
    return result.p_value_holm is None or result.p_value_holm < 0.05


def _p(value: float | None) -> str:
    if value is None:
        return "none"
    return "<0.001" if value < 0.001 else f"{value:.3f}"
