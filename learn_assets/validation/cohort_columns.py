"""Columns a supplied cohort table must have, or labels and exclusions would silently be wrong."""

from __future__ import annotations

from learn_assets.study import Study
from learn_assets.validation.raw_reader import RawTable

# Either dates the outcome.
OUTCOME_COLUMNS = ("days_till_sle_new", "date_sle_new")
# Exclusions that the table itself knows of (macro `supplied_exclusions`).
EXCLUSION_COLUMNS = {
    "other_rheumatic_disease": "date_rd_new",
    "drug_induced_lupus": "diagnosis_dile",
    "cancer": "diagnosis_cancer",
}


class MissingCohortColumnError(ValueError):
    """A supplied cohort table lacks a column that a rule of the study reads."""


def assert_cohort_columns(study: Study, raw: RawTable) -> None:
    """Check that a supplied table can answer the study's rules.

    An absent outcome column would make everyone a control, an absent flag everyone free of it.
    MissingCohortColumnError names the columns. Nothing is asked of a table that is not used.
    """
    if study.cohort.mode != "supplied":
        return
    found = set(raw.text_columns)
    named = {exclusion.name for exclusion in study.cohort.exclusions}
    missing = [
        column
        for exclusion, column in EXCLUSION_COLUMNS.items()
        if exclusion in named and column not in found
    ]
    if found.isdisjoint(OUTCOME_COLUMNS):
        missing.insert(0, " or ".join(OUTCOME_COLUMNS))
    if missing:
        raise MissingCohortColumnError(
            f"the cohort table has no column {', '.join(missing)}; add it to "
            "`source.cohort_table`, or remove the exclusion that reads it"
        )
