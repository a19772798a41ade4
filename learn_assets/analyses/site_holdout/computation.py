"""Site hold-out: models of all other institutions of a network, judged at each one in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import expit, logit

from learn_assets.disclosure import hidden_groups
from learn_assets.modeling.arrays import IndexVector, Labels
from learn_assets.modeling.cross_validation import predict_split, too_few
from learn_assets.modeling.leakage import assert_site_held_out
from learn_assets.modeling.pipeline import Cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.calibration import brier, calibration_intercept, calibration_slope
from learn_assets.statistics.discrimination import Interval, OneClassError, auroc, limits_of
from learn_assets.statistics.logistic_line import SeparationError
from learn_assets.statistics.paired import auroc_difference
from learn_assets.statistics.random_effects import random_effects

DIFFERENCE = "auroc_minus_cross_validation"
# What is put together over sites; a Brier score also depends on how many cases a site has.
SUMMARIZED = (
    "auroc",
    "auroc_cross_validation",
    DIFFERENCE,
    "calibration_intercept",
    "calibration_slope",
)
_ON_LOGIT_SCALE = ("auroc", "auroc_cross_validation")
_MODEL = ["feature_set", "learner"]
_Z95 = NormalDist().inv_cdf(0.975)

_Row = dict[str, object]


@dataclass(frozen=True)
class SiteSplit:
    """One site held out: rows of the labeled patients that are learned from, and those judged."""

    care_site: str
    training: IndexVector
    held_out: IndexVector


@dataclass(frozen=True)
class SiteSplits:
    """Labeled patients by id with their care site, None when it is not stated.

    judged: the sites with enough cases and controls, by name. too_small: how many sites have fewer.
    reason: why no site is held out, None when at least two are.
    """

    patient_ids: tuple[str, ...]
    care_sites: tuple[str | None, ...]
    judged: tuple[SiteSplit, ...]
    too_small: int
    reason: str | None = None


@dataclass(frozen=True)
class SiteHoldout:
    """Estimates (table `site_holdout`), or why there are none."""

    frame: pl.DataFrame
    reason: str | None = None
    warnings: tuple[str, ...] = ()


def site_splits(cohort: pl.DataFrame, care_site: pl.DataFrame, minimum_cell: int) -> SiteSplits:
    """Return which sites are held out, and who is learned from then.

    cohort and care_site: tables of these names. A site is judged with at least `minimum_cell`
    labeled cases and as many controls; patients of smaller sites are learned from. Whose site is
    not stated may be of the one held out, and is left out of both.
    """
    labeled = (
        cohort.filter(pl.col("label").is_not_null())
        .select("patient_id", "label")
        .join(care_site.select("patient_id", "care_site"), on="patient_id", how="left")
        .sort("patient_id")
    )
    sizes = labeled.drop_nulls("care_site").group_by("care_site").agg(
        pl.col("label").sum().cast(pl.Int64).alias("cases"), pl.len().alias("patients")
    )  # fmt: skip
    enough = pl.min_horizontal("cases", pl.col("patients") - pl.col("cases")) >= max(
        1, minimum_cell
    )
    large = sizes.filter(enough)["care_site"].sort().to_list()
    stated = labeled["care_site"].is_not_null()
    judged = tuple(
        SiteSplit(
            name,
            _rows(stated & (labeled["care_site"] != name)),
            _rows(stated & (labeled["care_site"] == name)),
        )
        for name in large
    )
    reason = None
    if care_site.is_empty():
        reason = "the source states no care sites"
    elif len(judged) < 2:
        reason = f"fewer than two care sites have {minimum_cell} labeled cases and as many controls"
    return SiteSplits(
        patient_ids=tuple(labeled["patient_id"].to_list()),
        care_sites=tuple(labeled["care_site"].to_list()),
        judged=judged if reason is None else (),
        too_small=sizes.height - len(judged),
        reason=reason,
    )


def site_holdout(
    cell: Cell,
    splits: SiteSplits,
    own: pl.DataFrame,
    protocol: ModelingProtocol,
    *,
    resamples: int = 1000,
    workers: int | None = None,
) -> SiteHoldout:
    """Return how models of all other sites do at each one, and over the sites together.

    Everything is fitted at the other sites alone. own: the cell's table `cross_validation`, by
    which the same patients were judged by models that knew their site; the difference compares the
    same pairs of patients, those of one fold. Over sites (`care_site` empty) stand random-effects
    summaries, of AUROC on the logit scale, where every site has an estimate with limits; and how
    many sites and patients are not judged. Counts that are small, or that would give a small one
    away, are withheld. Method: internal-external cross-validation (Steyerberg & Harrell 2016;
    Debray et al. 2015).

    LeakError when a patient who is learned from may be of the site held out. ValueError when the
    splits are of other patients.
    """
    empty = empty_frame("site_holdout")
    if splits.reason is not None:
        return SiteHoldout(empty, splits.reason)
    labeled, labels = cell.blocks.rows(cell.labeled), cell.labels
    if labeled.patient_ids.tolist() != list(splits.patient_ids):
        raise ValueError("the splits are of other patients than the labeled ones of the cell")
    for split in splits.judged:
        assert_site_held_out([splits.care_sites[row] for row in split.training], split.care_site)
        reason = too_few(labels[split.training], protocol.folds)
        if reason is not None:
            return SiteHoldout(empty, f"outside one of the care sites: {reason}")
    counts = _shown_counts(labels, splits, protocol.minimum_cell)
    rows: list[_Row] = []
    warnings: set[str] = set()
    for split in splits.judged:
        judged = predict_split(
            labeled, labels, split.training, split.held_out, protocol, workers=workers
        )
        warnings |= set(judged.warnings)
        for model, group in judged.frame.group_by(_MODEL, maintain_order=True):
            named = {"care_site": split.care_site, **dict(zip(_MODEL, model, strict=True))}
            measured = _measured(_beside(group, own), resamples, protocol.seed)
            known = (*counts.of_sites.get(split.care_site, ()), *measured)
            rows += [{**named, "metric": name, **limits_of(value)} for name, value in known]
    sites = pl.DataFrame(rows, schema=empty.schema)
    over_all = [
        row
        for model, group in sites.group_by(_MODEL, maintain_order=True)
        for row in _over_all(dict(zip(_MODEL, model, strict=True)), group, splits, counts)
    ]
    frame = pl.concat([sites, pl.DataFrame(over_all, schema=empty.schema)])
    ordered = frame.sort(*_MODEL, "care_site", nulls_last=True, maintain_order=True)
    return SiteHoldout(ordered, warnings=tuple(sorted(warnings)))


def _beside(group: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Return the predictions of one model with those of the ordinary cross-validation."""
    ordinary = own.select(
        *_MODEL, "patient_id", "fold", pl.col("probability").alias("cross_validated")
    )
    return (
        group.drop("fold").join(ordinary, on=[*_MODEL, "patient_id"], how="left").sort("patient_id")
    )


def _measured(
    both: pl.DataFrame, resamples: int, seed: int
) -> Iterator[tuple[str, Interval | float]]:
    """Yield each metric of one site and model that exists."""
    scores = both["probability"].to_numpy().astype(np.float64)
    labels = both["label"].to_numpy().astype(np.int64)
    measures: dict[str, Callable[[], Interval]] = {
        "auroc": lambda: auroc(scores, labels),
        "brier": lambda: brier(scores, labels, resamples=resamples, seed=seed),
        "calibration_intercept": lambda: calibration_intercept(scores, labels),
        "calibration_slope": lambda: calibration_slope(scores, labels),
    }
    if not both["cross_validated"].null_count():
        before = both["cross_validated"].to_numpy().astype(np.float64)
        folds = both["fold"].to_numpy().astype(np.int64)
        measures["auroc_cross_validation"] = lambda: auroc(before, labels, folds=folds)
        measures[DIFFERENCE] = lambda: auroc_difference(scores, before, labels, folds)
    for name, measure in measures.items():
        try:
            yield name, measure()
        except (OneClassError, SeparationError):
            continue


@dataclass(frozen=True)
class _ShownCounts:
    """Counts that may be shown: of each judged site, and of who is not judged."""

    of_sites: dict[str, tuple[tuple[str, float], ...]]
    not_judged: tuple[tuple[str, float], ...]


def _shown_counts(labels: Labels, splits: SiteSplits, minimum_cell: int) -> _ShownCounts:
    """Return the counts that no small one can be subtracted from: the labeled are shown elsewhere.

    Sites that are too small are one group, and those without a site another.
    """
    stated = np.array([site is not None for site in splits.care_sites], dtype=bool)
    judged = np.zeros(len(labels), dtype=bool)
    for split in splits.judged:
        judged[split.held_out] = True
    members = [split.held_out for split in splits.judged]
    members += [np.flatnonzero(stated & ~judged), np.flatnonzero(~stated)]
    groups = [_cases_and_controls(labels[rows]) for rows in members]
    hidden = hidden_groups(groups, minimum_cell)
    of_sites: dict[str, tuple[tuple[str, float], ...]] = {
        split.care_site: (("n", float(sum(group))), ("cases", float(group[0])))
        for number, (split, group) in enumerate(zip(splits.judged, groups, strict=False))
        if number not in hidden
    }
    names = ("too_small_n", "without_care_site_n")
    not_judged = tuple(
        (name, float(sum(groups[number])))
        for number, name in enumerate(names, start=len(splits.judged))
        if number not in hidden
    )
    return _ShownCounts(of_sites, not_judged)


def _cases_and_controls(labels: Labels) -> tuple[int, int]:
    cases = int(labels.sum())
    return cases, len(labels) - cases


def _over_all(
    model: dict[str, object], group: pl.DataFrame, splits: SiteSplits, counts: _ShownCounts
) -> Iterator[_Row]:
    yield {**model, "metric": "sites", "estimate": float(len(splits.judged))}
    yield {**model, "metric": "sites_too_small", "estimate": float(splits.too_small)}
    for name, count in counts.not_judged:
        yield {**model, "metric": name, "estimate": count}
    for metric in SUMMARIZED:
        known = group.filter(metric=metric).drop_nulls(["estimate", "lower", "upper"])
        # A summary of the sites that happen to have limits would be of chosen ones.
        found = _summary(known, metric) if known.height == len(splits.judged) else None
        if found is not None:
            yield {**model, "metric": metric, **found}


def _summary(known: pl.DataFrame, metric: str) -> _Row | None:
    """Return the random-effects summary of one metric, back on its own scale.

    None when limits of a site coincide, as they do between two equal scores.
    """
    scaled = metric in _ON_LOGIT_SCALE
    values, lower, upper = (
        _scaled(known[name].to_numpy(), logit_scale=scaled)
        for name in ("estimate", "lower", "upper")
    )
    # Limits of a site lie so many standard errors apart on the scale they were made on.
    variances = ((upper - lower) / (2 * _Z95)) ** 2
    if not (variances > 0).all():
        return None
    found = random_effects(values, variances)
    ends = (found.mean.estimate, found.mean.lower, found.mean.upper)
    further = (found.prediction.lower, found.prediction.upper)
    names = ("estimate", "lower", "upper", "prediction_lower", "prediction_upper")
    shown = [float(expit(value)) if scaled else value for value in (*ends, *further)]
    finite = (value if np.isfinite(value) else None for value in shown)
    return {**dict(zip(names, finite, strict=True)), "between_sites": found.between_sites}


def _scaled(values: npt.NDArray[np.float64], *, logit_scale: bool) -> npt.NDArray[np.float64]:
    return np.asarray(logit(values) if logit_scale else values, dtype=np.float64)


def _rows(chosen: pl.Series) -> npt.NDArray[np.int64]:
    return np.flatnonzero(chosen.fill_null(value=False).to_numpy()).astype(np.int64)
