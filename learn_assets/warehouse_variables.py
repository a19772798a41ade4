"""Variables of a dbt run: a study and a window in the words that the SQL models read.

What belongs here: the pure translation, so tests and the Dagster layer can read it back.
"""

from __future__ import annotations

from collections.abc import Sequence

from learn_assets.study import Exclusion, RecordKind, SevereOutcome, Study
from learn_assets.study.windows import Window
from learn_assets.validation.cohort_columns import EXCLUSION_COLUMNS

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]


def dbt_variables(study: Study, window: Window | None = None) -> dict[str, Value]:
    """Return what `--vars` gets for a study and, for windowed models, a window.

    Folders of the lake are not part of it. ValueError when an exclusion can be found neither in
    the supplied cohort table nor by a code list.
    """
    return {
        **_window_variables(window),
        **_cohort_variables(study),
        "narrative_order": study.narratives.order,
        "narrative_dates": study.narratives.dates,
        "medication_name": study.narratives.medication_name,
        "look_back_days": [*sorted(set(study.counts.look_back_days))],
        "roll_up_icd": study.counts.roll_up_icd,
        "packaged_icd": study.vocabulary.packaged_icd,
    }


def _window_variables(window: Window | None) -> dict[str, Value]:
    if window is None:
        return {}
    return {
        "window_key": window.key,
        "length_in_system": window.length_in_system,
        "buffer_period": window.buffer_period,
        "follow_up_period": window.follow_up_period,
    }


def _cohort_variables(study: Study) -> dict[str, Value]:
    rules = study.cohort
    minimum = rules.minimum_records
    variables: dict[str, Value] = {
        "cohort_mode": rules.mode,
        "eligibility_policy": rules.policy,
        "minimum_age": rules.age_at_index.min,
        "maximum_age": rules.age_at_index.max,
        "exclusions": [_exclusion(item, rules.mode == "supplied") for item in rules.exclusions],
        "severe_outcomes": [_severe_outcome(item) for item in rules.severe_outcomes],
        "minimum_records": {
            "diagnosis": minimum.diagnosis,
            "procedure": minimum.procedure,
            "medication": minimum.medication,
        },
        "require_minimum_records": rules.require_minimum_records,
    }
    if rules.index_event is not None:
        variables["index_event"] = {
            "kinds": list(rules.index_event.kinds),
            "code_list": rules.index_event.code_list,
            "value_text": list(rules.index_event.value_text),
            "value_at_least": rules.index_event.value_at_least,
        }
    if rules.outcome is not None:
        variables["outcome"] = _rule(
            "outcome", rules.outcome.code_list, rules.outcome.kinds, rules.outcome.distinct_days
        )
    return variables


def _exclusion(exclusion: Exclusion, supplied: bool) -> dict[str, Value]:
    if exclusion.code_list is None and not (supplied and exclusion.name in EXCLUSION_COLUMNS):
        raise ValueError(
            f"exclusion `{exclusion.name}`: give it a `code_list`, or in mode `supplied` one of "
            f"the names the cohort table has a column for: {', '.join(EXCLUSION_COLUMNS)}"
        )
    return _rule(
        exclusion.name, exclusion.code_list or "", exclusion.kinds, exclusion.distinct_days
    )


def _severe_outcome(outcome: SevereOutcome) -> dict[str, Value]:
    conditional = outcome.in_patients_with
    return {
        **_rule(outcome.name, outcome.code_list, outcome.kinds, outcome.distinct_days),
        "recurs": outcome.recurs,
        "condition": conditional.condition if conditional else "",
        "conditional_code_list": conditional.code_list if conditional else "",
    }


def _rule(
    name: str, code_list: str, kinds: Sequence[RecordKind], distinct_days: int
) -> dict[str, Value]:
    return {
        "name": name,
        "code_list": code_list,
        "kinds": list(kinds),
        "distinct_days": distinct_days,
    }
