"""Setup: what a study chose, and what its results cannot say, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from learn_assets.reporting.labels import feature_set_label, learner_label
from learn_assets.study import Study, SyntheticSource
from learn_assets.study.windows import Window

_POLICIES = {
    "prospective": "prospective: only what was known at the index date excludes a patient",
    "published": "published: the rules of the LEARN paper, which also use later facts",
}
_PROTOCOLS = {
    "recommended": "recommended: no resampling, calibrated probabilities",
    "published": "published: standardized features, SMOTE inside each training fold",
}
_DATES = {"absolute": "with dates", "relative": "with days before index", "none": "without dates"}


@dataclass(frozen=True)
class Fact:
    """One choice of the study."""

    name: str
    value: str


def window_in_words(window: Window) -> str:
    """Return what a window asks for, as a sentence."""
    return (
        f"At least {window.length_in_system:,} days of records before the index date; "
        f"a case has the outcome from day {window.buffer_period + 1:,} "
        f"to day {window.follow_up_period:,} after it."
    )


def window_heading(window: Window) -> str:
    """Return a window as short as it can be read."""
    return (
        f"LIS {window.length_in_system:,} · BP {window.buffer_period:,} · "
        f"FUP {window.follow_up_period:,}"
    )


def question(study: Study) -> str:
    """Return what the study asks, and that it develops and validates models, in sentences."""
    rules = study.cohort
    if rules.outcome is not None and rules.index_event is not None:
        who = f"patients with a first {_words(rules.index_event.kinds)} record of " + _name(
            rules.index_event.code_list
        )
        outcome = _name(rules.outcome.code_list)
    else:
        who, outcome = "the patients of the source's own cohort table", "its outcome"
    arm = "models are developed and internally validated"
    if _holds_sites_out(study):
        arm += ", also by leaving each care site out (internal-external validation)"
    if study.external_models:
        arm += ", and models of other sites are externally validated"
    return (
        f"Who among {who} progresses to {outcome} within the follow-up period, judged by what was "
        f"on record before the index date? Prognostic {arm}."
    )


def setup_facts(study: Study) -> tuple[Fact, ...]:
    """Return the choices of a study that a reader needs to judge its results."""
    facts = [*_cohort_facts(study), *_feature_facts(study), *_model_facts(study)]
    return tuple(Fact(name, value) for name, value in facts if value)


def limits(study: Study) -> tuple[str, ...]:
    """Return what these results cannot say, most serious first."""
    return tuple(_limits(study))


def _cohort_facts(study: Study) -> list[tuple[str, str]]:
    rules = study.cohort
    index, outcome = rules.index_event, rules.outcome
    facts = [("Source", study.source.format), ("Cohort dates", f"{rules.mode} by the source")]
    if rules.mode == "derived" and index is not None and outcome is not None:
        days = "one day" if outcome.distinct_days == 1 else f"{outcome.distinct_days} distinct days"
        dated = "dated by the first"
        if rules.policy == "prospective" and outcome.distinct_days > 1:
            dated += ", or by the first after the index date when not complete by then"
        facts = [
            ("Source", study.source.format),
            ("Cohort dates", "derived from records"),
            ("Index event", f"first {_words(index.kinds)} record of {_name(index.code_list)}"),
            ("Outcome", f"{_name(outcome.code_list)} on {days}, {dated}"),
        ]
    ages = rules.age_at_index
    return [
        *facts,
        ("Eligibility", _POLICIES[rules.policy]),
        ("Age at index", f"{ages.min} to {ages.max} years"),
        ("Exclusions", ", ".join(_name(exclusion.name) for exclusion in rules.exclusions)),
    ]


def _feature_facts(study: Study) -> list[tuple[str, str]]:
    narratives, counts = study.narratives, study.counts
    rolled = "ICD categories" if counts.roll_up_icd else "codes as recorded"
    look_back = "".join(f", last {days:,} days" for days in counts.look_back_days)
    return [
        ("Narratives", f"{_name(narratives.order)}, {_DATES[narratives.dates]}"),
        ("Counts", f"{rolled}, whole history{look_back}"),
        ("Encoders", ", ".join(encoder.id for encoder in study.encoders)),
    ]


def _model_facts(study: Study) -> list[tuple[str, str]]:
    models = study.models
    seeds = [f"{models.seed} (folds and models)"]
    if isinstance(study.source, SyntheticSource):
        seeds.append(f"{study.source.seed} (synthetic site)")
    return [
        ("Feature sets", ", ".join(feature_set_label(name) for name in models.feature_sets)),
        ("Learners", ", ".join(learner_label(name) for name in models.learners)),
        ("Protocol", _PROTOCOLS[models.protocol]),
        ("Cross-validation", f"{models.folds} folds by patient, stratified"),
        ("Seeds", ", ".join(seeds)),
    ]


def _limits(study: Study) -> Iterable[str]:
    if study.synthetic:
        yield (
            "The records are synthetic. Numbers show that the pipeline runs and finds what was "
            "planted; they say nothing about patients, and nothing here supports a clinical use."
        )
    if study.cohort.policy == "published":
        yield (
            "The published eligibility rules use facts from after the index date, so performance "
            "at the bedside will be lower than shown."
        )
    if study.models.protocol == "published":
        yield (
            "SMOTE changes the share of cases in training, so probabilities are too high on "
            "purpose; read the ranking, not the level."
        )
    if _holds_sites_out(study):
        yield (
            "Estimates of this network's own models are internal: out-of-fold predictions among "
            "the patients of all its care sites. Leaving a site out shows what a new one of this "
            "network may cost; another network, coding habit or period can differ."
        )
    else:
        yield (
            "Estimates of this site's own models are internal: out-of-fold predictions at one "
            "site. Another site, coding habit or period can differ."
        )
    yield (
        "Intervals describe the patients drawn, given these folds and fitted models. The planned "
        "comparisons are tested and corrected; differences between other rows are not, and many "
        "rows were compared."
    )
    yield (
        "Patients whose records end before the window closes, or whose outcome comes within the "
        "buffer period, have no label and are missing from the binary models; if they leave care "
        "because of their risk, estimates are biased. A patient whose window ends after the data "
        "can only be a case; how far labels depend on the date is computed under risk of bias "
        "(4.6b)."
    )
    yield (
        f"Counts from 1 to {study.privacy.minimum_cell - 1} are masked, and so are counts that "
        "would give them away within a window. Windows share patients: publish one of them, or "
        "check that the differences between their counts are not small."
    )


def _holds_sites_out(study: Study) -> bool:
    return study.source.states_care_sites and "site" in study.sensitivity.analyses


def _words(items: Iterable[str]) -> str:
    return " or ".join(_name(item) for item in items)


def _name(identifier: str) -> str:
    return identifier.replace("_", " ")
