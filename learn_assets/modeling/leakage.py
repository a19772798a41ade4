"""Leakage: named guards that stop a run when held-out patients or the outcome reach a model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from learn_assets.modeling.features import DuplicatePatientError

_CODE_LIST_COLUMNS = {"code_system", "code", "match"}


class LeakError(ValueError):
    """Information that would not exist at prediction time is about to reach a model."""


def forbidden_features(
    feature_names: tuple[str, ...], outcome_codes: pl.DataFrame
) -> tuple[str, ...]:
    """Return the features that count an outcome code, sorted.

    feature_names: `<kind>|<code_system>|<code>`, perhaps with `|last-<days>`; other names pass.
    outcome_codes: code_system, code, match (`exact` or `prefix`), ICD without dot. A rolled-up
    category matches only when the list names it or one of its own prefixes, so a category that also
    holds other diseases stays. KeyError when a column is missing.
    """
    absent = _CODE_LIST_COLUMNS - set(outcome_codes.columns)
    if absent:
        raise KeyError(f"outcome codes lack the columns {sorted(absent)}")
    entries = set(outcome_codes.select("code_system", "code", "match").iter_rows())
    exact = {(system, code) for system, code, _ in entries}
    prefixes: dict[str, tuple[str, ...]] = {}
    for system, code, match in sorted(entries):
        if match == "prefix":
            prefixes[system] = (*prefixes.get(system, ()), code)

    def counts_outcome(name: str) -> bool:
        parts = name.split("|")
        if len(parts) < 3:
            return False
        system, code = parts[1], parts[2].replace(".", "").upper()
        return (system, code) in exact or code.startswith(prefixes.get(system, ("\0",)))

    return tuple(sorted(name for name in feature_names if counts_outcome(name)))


def assert_no_outcome_feature(feature_names: tuple[str, ...], outcome_codes: pl.DataFrame) -> None:
    """Raise LeakError, naming the codes, when a feature counts an outcome code."""
    forbidden = forbidden_features(feature_names, outcome_codes)
    if forbidden:
        raise LeakError(
            f"{len(forbidden)} of {len(feature_names)} features count outcome codes: "
            f"{', '.join(forbidden)}; leave these codes out of event_counts"
        )


def assert_one_fold_per_patient(predictions: pl.DataFrame) -> None:
    """Raise LeakError when a patient of one model was held out in more than one fold.

    predictions: patient_id, fold, feature_set, learner. DuplicatePatientError when a patient has
    two rows in the same fold of a model.
    """
    model = ["feature_set", "learner", "patient_id"]
    per_patient = predictions.group_by(model).agg(
        pl.col("fold").n_unique().alias("folds"), pl.len().alias("rows")
    )
    straddling = per_patient.filter(pl.col("folds") > 1)["patient_id"].n_unique()
    if straddling:
        raise LeakError(f"{straddling} patients are held out in more than one fold")
    repeated = per_patient.filter(pl.col("rows") > 1)["patient_id"].n_unique()
    if repeated:
        raise DuplicatePatientError(f"{repeated} patients have two rows in one fold of a model")


def assert_known_before(known_on: Sequence[date], cut: date) -> None:
    """Raise LeakError when a label that is learned from was known only on or after a day."""
    late = sum(day >= cut for day in known_on)
    if late:
        raise LeakError(f"{late} labels that are learned from were not known before {cut}")


def assert_disjoint(training_ids: list[str], held_out_ids: list[str]) -> None:
    """Raise LeakError when a patient is both learned from and predicted."""
    shared = len(set(training_ids) & set(held_out_ids))
    if shared:
        raise LeakError(f"{shared} patients are both learned from and predicted")


def assert_site_held_out(training_sites: Sequence[str | None], care_site: str) -> None:
    """Raise LeakError when a patient who is learned from may be of the site that is held out.

    training_sites: care site of each patient who is learned from, None when it is not stated.
    """
    own = sum(site == care_site for site in training_sites)
    if own:
        raise LeakError(f"{own} patients of the site that is held out are learned from")
    unknown = sum(site is None for site in training_sites)
    if unknown:
        raise LeakError(f"{unknown} patients whose care site is not stated are learned from")
