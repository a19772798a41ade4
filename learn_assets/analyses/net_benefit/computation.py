"""Net benefit: what acting on a model's risks is worth, against acting on everyone or on no one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.disclosure import is_small
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.discrimination import FloatVector, Labels
from learn_assets.statistics.patient_draws import FloatMatrix, patient_weights

_VALUES = tuple(empty_frame("net_benefit").columns[3:-1])
_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1)
_MAXIMUM_POINTS = 30
_LOWEST_PART, _HIGHEST_PART = 0.25, 3.0
_LARGEST_THRESHOLD = 0.95
_WITHHELD = "withheld: a small count could be worked out"


@dataclass(frozen=True)
class NetBenefits:
    """Net benefit at each threshold (t,), its draws (resamples, t), and the same for acting on all.

    Acting on no one has net benefit 0.
    """

    model: FloatVector
    everyone: FloatVector
    model_draws: FloatMatrix
    everyone_draws: FloatMatrix


def net_benefit(
    cross_validation: pl.DataFrame,
    thresholds: Sequence[float] = (),
    *,
    minimum_cell: int,
    resamples: int = 1000,
    seed: int = 0,
) -> pl.DataFrame:
    """Return the decision curve of every feature set and learner (table `net_benefit`).

    thresholds: risks from which somebody would act; none: round numbers around the share of cases.
    `difference` is the model minus the better of acting on everyone and on no one. Intervals are
    percentiles over resampled patients, 95 %. A threshold has a reason and no numbers when patients
    of an outcome on one side of it, or between it and the next lower one shown, are fewer than
    `minimum_cell`: with the number of patients, net benefit gives these counts away.
    Method: Vickers & Elkin 2006; standardized by the share of cases, Kerr et al. 2016.
    """
    rows: list[dict[str, object]] = []
    for (feature_set, learner), group in cross_validation.group_by(
        "feature_set", "learner", maintain_order=True
    ):
        # The order of patients must not move a bootstrap draw, so it is fixed here.
        ordered = group.sort("patient_id")
        labels = ordered["label"].to_numpy().astype(np.int64)
        name = {"feature_set": feature_set, "learner": learner}
        cases = int(labels.sum())
        if min(cases, len(labels) - cases) < max(1, minimum_cell):
            reason = f"fewer than {minimum_cell} cases or controls"
            rows.append({**name, "threshold": None, **dict.fromkeys(_VALUES), "reason": reason})
            continue
        probabilities = ordered["probability"].to_numpy().astype(np.float64)
        grid = np.array(thresholds or default_thresholds(cases / len(labels)))
        shown = shown_thresholds(probabilities, labels, grid, minimum_cell)
        measured = net_benefits(probabilities, labels, grid, resamples=resamples, seed=seed)
        values = _values(measured, cases / len(labels))
        for place, threshold in enumerate(grid.tolist()):
            point = {key: float(column[place]) for key, column in values.items()}
            rows.append(
                {
                    **name,
                    "threshold": threshold,
                    **(point if shown[place] else dict.fromkeys(_VALUES)),
                    "net_benefit_of_all": point["net_benefit_of_all"],
                    "reason": None if shown[place] else _WITHHELD,
                }
            )
    return pl.DataFrame(rows, schema=empty_frame("net_benefit").schema)


def net_benefits(
    probabilities: FloatVector,
    labels: Labels,
    thresholds: FloatVector,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> NetBenefits:
    """Return net benefit, true positives / n - false positives / n * odds of the threshold.

    Acted on is who has at least the threshold's risk. Cases and controls are resampled together,
    since their shares decide.
    """
    odds = thresholds / (1 - thresholds)
    worth = np.where(np.asarray(labels)[:, None] == 1, 1.0, -odds[None, :])
    acted = np.where(probabilities[:, None] >= thresholds[None, :], worth, 0.0)
    patients = len(labels)
    draws = [
        (weights @ acted / patients, weights @ worth / patients)
        for weights in patient_weights(patients, resamples, seed)
    ]
    return NetBenefits(
        model=acted.sum(axis=0) / patients,
        everyone=worth.sum(axis=0) / patients,
        model_draws=np.concatenate([of_model for of_model, _ in draws]),
        everyone_draws=np.concatenate([of_all for _, of_all in draws]),
    )


def default_thresholds(prevalence: float) -> tuple[float, ...]:
    """Return round thresholds from a quarter of the share of cases to three times it."""
    low = prevalence * _LOWEST_PART
    high = min(prevalence * _HIGHEST_PART, _LARGEST_THRESHOLD)
    step = next((s for s in _STEPS if (high - low) / s <= _MAXIMUM_POINTS), _STEPS[-1])
    first, last = max(1, round(low / step)), max(1, round(high / step))
    return tuple(round(number * step, 4) for number in range(first, last + 1))


def shown_thresholds(
    probabilities: FloatVector, labels: Labels, thresholds: FloatVector, minimum_cell: int
) -> npt.NDArray[np.bool_]:
    """Return which rising thresholds may be shown, none of whose counts or steps is small."""
    is_case = np.asarray(labels) == 1
    totals = int(is_case.sum()), int((~is_case).sum())
    shown = np.zeros(len(thresholds), dtype=np.bool_)
    before = totals
    for place, threshold in enumerate(thresholds):
        acted = probabilities >= threshold
        now = int((acted & is_case).sum()), int((acted & ~is_case).sum())
        left = [total - count for total, count in zip(totals, now, strict=True)]
        steps = [last - count for last, count in zip(before, now, strict=True)]
        if not is_small(minimum_cell, *now, *left, *steps):
            shown[place] = True
            before = now
    return shown


def _values(measured: NetBenefits, prevalence: float) -> dict[str, FloatVector]:
    lower, upper = np.quantile(measured.model_draws, [0.025, 0.975], axis=0)
    better_all = measured.everyone > 0
    gain = measured.model - np.where(better_all, measured.everyone, 0.0)
    gains = measured.model_draws - np.where(better_all, measured.everyone_draws, 0.0)
    gain_lower, gain_upper = np.quantile(gains, [0.025, 0.975], axis=0)
    return {
        "net_benefit": measured.model,
        "lower": lower,
        "upper": upper,
        "standardized_net_benefit": measured.model / prevalence,
        "net_benefit_of_all": measured.everyone,
        "difference": gain,
        "difference_lower": gain_lower,
        "difference_upper": gain_upper,
    }
