"""Challenge: whether newly trained models may take the champion's place, on paired evidence.

What belongs here: comparing both on the same patients without a score from a model that saw the
patient's outcome, and the rule that decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from learn_assets.disclosure import shown
from learn_assets.modeling.bundle import Provenance, TrainedModels, score
from learn_assets.modeling.champion import Champion
from learn_assets.modeling.compatibility import differences
from learn_assets.modeling.features import FeatureBlocks
from learn_assets.statistics.discrimination import Interval, OneClassError
from learn_assets.statistics.paired import auroc_difference, brier_difference
from learn_assets.study import Study

# Differences after which the champion would read the same record as something else.
_MISREADS = {"version", "window", "encoder", "embedding", "narratives", "counts", "models"}
_SEEN_SHARE = 0.5
_FROZEN = -1


@dataclass(frozen=True)
class ChallengeRule:
    """The one model that is compared, and what counts as not worse.

    margin: the AUROC a challenger may lose at most. minimum_cell: fewest cases and controls on
    which a comparison rests.
    """

    feature_set: str
    learner: str
    margin: float
    minimum_cell: int

    @classmethod
    def from_study(cls, study: Study) -> ChallengeRule:
        """Return the rule a study asks for."""
        sets = study.models.feature_sets
        usual = "learn" if "learn" in sets else sets[-1]
        return cls(
            feature_set=study.champion.feature_set or usual,
            learner=study.champion.learner or study.models.learners[0],
            margin=study.champion.margin,
            minimum_cell=study.privacy.minimum_cell,
        )


@dataclass(frozen=True)
class Evidence:
    """Challenger minus champion on the same patients; AUROC above 0 and Brier below 0 are better.

    seen: patients the champion learned from, judged by its out-of-fold predictions; unseen: those
    its frozen models predict.
    """

    seen: int
    unseen: int
    cases: int
    auroc: Interval
    brier: Interval


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger takes over, and why."""

    promoted: bool
    reason: str


def judge(
    champion: Champion | None,
    challenger: TrainedModels,
    out_of_fold: pl.DataFrame,
    labeled: FeatureBlocks,
    rule: ChallengeRule,
) -> Verdict:
    """Return whether a challenger takes the champion's place.

    out_of_fold: the challenger's rows of `cross_validation`; labeled: features of its patients.
    Without a usable champion the challenger takes over; without evidence the champion stays.
    """
    name = f"{rule.feature_set}/{rule.learner}"
    if champion is None:
        return Verdict(True, "the first models of this cell")
    if not _has(champion.models, rule):
        return Verdict(True, f"the champion has no model {name}, by which the study compares")
    if not _has(challenger, rule):
        return Verdict(False, f"the challenger has no model {name}, by which the study compares")
    misread = _misreading(champion.models.provenance, challenger.provenance)
    if misread:
        return Verdict(True, f"the champion no longer reads this study's data: {misread}")
    evidence = paired_evidence(champion, out_of_fold, labeled, rule)
    if isinstance(evidence, str):
        return Verdict(False, f"no paired evidence: {evidence}")
    return verdict(evidence, rule)


def paired_evidence(
    champion: Champion, out_of_fold: pl.DataFrame, labeled: FeatureBlocks, rule: ChallengeRule
) -> Evidence | str:
    """Return the paired differences on the newest labeled patients, or why there are none.

    The challenger's probability is out of fold for everyone. The champion's is, too, for patients
    it learned from, as it was frozen with them; its final models predict only the others. Cases
    are compared with controls that the same models of both sides predicted.
    """
    ours = _of_model(out_of_fold, rule)
    theirs = _of_model(champion.out_of_fold, rule)
    learned_from = champion.out_of_fold["patient_id"].unique()
    still_here = learned_from.is_in(ours["patient_id"].to_list()).sum()
    if still_here < _SEEN_SHARE * len(learned_from):
        # Under new pseudonyms every patient would look unseen, and be scored by who knows them.
        return "most patients the champion learned from are not among the labeled ones any more"
    unseen = ours.filter(~pl.col("patient_id").is_in(learned_from.to_list()))
    frozen = _of_model(
        score(champion.models, labeled.rows(labeled.positions(unseen["patient_id"].to_list()))),
        rule,
    ).with_columns(pl.lit(_FROZEN, pl.Int32).alias("fold"))
    champions = pl.concat(
        [frame.select("patient_id", "fold", "probability") for frame in (theirs, frozen)]
    )
    both = ours.join(champions, on="patient_id", suffix="_champion").sort("patient_id")
    labels = both["label"].to_numpy().astype(np.int64)
    cases = int(labels.sum())
    if min(cases, len(labels) - cases) < max(2, rule.minimum_cell):
        return "too few cases or controls among the patients that both can be judged on"
    first = both["probability"].to_numpy()
    second = both["probability_champion"].to_numpy()
    same_models = both.select(
        pl.struct("fold", "fold_champion").rank("dense").cast(pl.Int64)
    ).to_series()
    try:
        area = auroc_difference(first, second, labels, same_models.to_numpy())
    except OneClassError:
        return "no fold holds a case and a control that both can be judged on"
    return Evidence(
        seen=both.height - unseen.height,
        unseen=unseen.height,
        cases=cases,
        auroc=area,
        brier=brier_difference(first, second, labels),
    )


def verdict(evidence: Evidence, rule: ChallengeRule) -> Verdict:
    """Return what the rule says of this evidence.

    The champion stays when the challenger's AUROC is lower by more than the margin, when the whole
    interval of the difference lies below 0, or when its Brier score is worse beyond its interval.
    """
    words = (
        f"AUROC of {rule.feature_set}/{rule.learner} {_signed(evidence.auroc)}, Brier "
        f"{_signed(evidence.brier)}, challenger minus champion on "
        f"{shown(evidence.seen + evidence.unseen, rule.minimum_cell)} patients"
    )
    if not np.isfinite([evidence.auroc.lower, evidence.auroc.upper]).all():
        return Verdict(False, f"no interval for the difference: {words}")
    if evidence.auroc.estimate < -rule.margin:
        return Verdict(False, f"worse by more than the margin of {rule.margin:g}: {words}")
    if evidence.auroc.upper < 0:
        return Verdict(False, f"ranks worse: {words}")
    if evidence.brier.lower > 0:
        return Verdict(False, f"its probabilities are worse: {words}")
    return Verdict(True, f"not shown to be worse: {words}")


def _signed(interval: Interval) -> str:
    return f"{interval.estimate:+.4f} ({interval.lower:+.4f} to {interval.upper:+.4f})"


def _has(models: TrainedModels, rule: ChallengeRule) -> bool:
    wanted = (rule.feature_set, rule.learner)
    return any((item.feature_set, item.learner) == wanted for item in models.models)


def _of_model(frame: pl.DataFrame, rule: ChallengeRule) -> pl.DataFrame:
    return frame.filter(feature_set=rule.feature_set, learner=rule.learner)


def _misreading(champion: Provenance, challenger: Provenance) -> str:
    found = differences(champion, challenger)
    return "; ".join(item.reason for item in found if item.part in _MISREADS)
