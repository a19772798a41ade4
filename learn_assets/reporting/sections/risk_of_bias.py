"""Risk of bias: PROBAST's signalling questions, answered where the study and its tables can.

What belongs here: answers computed from choices and tables, with their evidence. A question that
needs a reader of the clinical setting says so. Questions: Wolff et al. 2019 (PROBAST), kept in
PROBAST+AI (Moons et al. 2025).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from learn_assets.modeling.features import DEMOGRAPHIC_NAMES
from learn_assets.modeling.leakage import forbidden_features
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.reporting.context import CellContext, StudyContext, WindowContext
from learn_assets.reporting.document import Column, Paragraph, Section, Table
from learn_assets.reporting.judgments import (
    NO,
    NO_INFORMATION,
    PERSON,
    PROBABLY_NO,
    PROBABLY_YES,
    YES,
    Judgment,
    worst,
)
from learn_assets.reporting.sections.label_dates import DATES_QUESTION, label_dates_judgment
from learn_assets.reporting.sections.overview import FinishedCell
from learn_assets.reporting.values import words

# Events per candidate parameter (Moons et al. 2019, explanation of question 4.1).
_FEW, _ENOUGH = 10.0, 20.0
_MUCH_CENSORED = 0.1


def risk_of_bias(
    context: StudyContext, cells: Sequence[FinishedCell], topics: Mapping[str, str]
) -> Section:
    """Return every question with its answer; `topics` are what the report shows, and where."""
    judgments = [
        *_participants(context),
        *_predictors(topics),
        *_outcome(context),
        *_analysis(context, cells, topics),
    ]
    rows = tuple(
        (
            words(item.domain),
            words(item.question),
            words(item.answer, link=topics.get(item.topic)),
            words(item.evidence),
        )
        for item in judgments
    )
    concerns = sum(item.answer in {NO, PROBABLY_NO} for item in judgments)
    people = sum(item.answer == PERSON for item in judgments)
    return Section(
        "risk-of-bias",
        "Risk of bias",
        (
            Paragraph(
                f"{concerns} of {len(judgments)} questions raise a concern, {people} need a person."
                " An answer of No or Probably no marks a risk of bias, it does not prove bias."
            ),
            Table(
                "risk_of_bias",
                "PROBAST signalling questions, answered from the study and its tables",
                (
                    Column("domain", "Domain", numeric=False),
                    Column("question", "Question", numeric=False),
                    Column("answer", "Answer", numeric=False),
                    Column("evidence", "Evidence", numeric=False),
                ),
                rows,
                grouped=True,
            ),
        ),
    )


def _participants(context: StudyContext) -> Iterator[Judgment]:
    domain = "1 Participants"
    yield Judgment(
        domain,
        "1.1 Were appropriate data sources used?",
        PERSON,
        f"Routine records ({context.study.source.format}), not collected for this question.",
        "setup",
    )
    published = context.study.cohort.policy == "published"
    yield Judgment(
        domain,
        "1.2 Were all inclusions and exclusions appropriate?",
        NO if published else PROBABLY_YES,
        "Policy published: facts from after the index date exclude patients (look-ahead)."
        if published
        else "Policy prospective: only what was known at the index date excludes a patient.",
        "flow",
    )


def _predictors(topics: Mapping[str, str]) -> Iterator[Judgment]:
    domain, by_site = "2 Predictors", "site_holdout" in topics
    yield Judgment(
        domain,
        "2.1 Were predictors defined and assessed in a similar way for all?",
        PERSON,
        "The same code for everyone; coding habits of departments and years may differ."
        + (" What care sites cost each other is shown by leave-one-site-out." if by_site else ""),
        "site_holdout" if by_site else "coverage",
    )
    blind = "Features hold records from strictly before the index date; the outcome comes after it."
    yield Judgment(
        domain, "2.2 Were predictors assessed without knowledge of the outcome?", YES, blind
    )
    available = "Every feature is on record before the index date, when a prediction is asked for."
    yield Judgment(
        domain, "2.3 Are all predictors available when the model is used?", YES, available
    )


def _outcome(context: StudyContext) -> Iterator[Judgment]:
    domain, study = "3 Outcome", context.study
    rule = study.cohort.outcome
    yield Judgment(
        domain,
        "3.1 Was the outcome determined appropriately?",
        PERSON,
        "Diagnosis codes stand for the disease; no chart was read."
        if rule is None
        else f"Codes on {rule.distinct_days} distinct days stand for the disease; no chart was "
        "read.",
        "setup",
    )
    yield Judgment(
        domain,
        "3.2 Was a prespecified or standard outcome definition used?",
        NO_INFORMATION if rule is None else YES,
        "The outcome stands in the source's cohort table."
        if rule is None
        else "The study file names the code list before anything is fitted.",
        "code_lists",
    )
    yield _outcome_excluded(context)
    yield Judgment(
        domain,
        "3.4 Was the outcome defined and determined in a similar way for all?",
        PROBABLY_YES,
        "One rule for everyone; who is seen more often has more chances of a diagnosis.",
        "setup",
    )
    yield Judgment(
        domain,
        "3.5 Was the outcome determined without knowledge of predictors?",
        PROBABLY_NO,
        "Clinicians who code a diagnosis know the history.",
    )
    buffers = [window.buffer_period for window in study.windows]
    yield Judgment(
        domain,
        "3.6 Was the time between predictors and outcome appropriate?",
        YES if min(buffers) > 0 else PROBABLY_NO,
        f"Buffer period {' and '.join(f'{days:,}' for days in sorted(set(buffers)))} days: an "
        "outcome within it is not a case.",
        "windows",
    )


def _outcome_excluded(context: StudyContext) -> Judgment:
    question = "3.3 Were predictors excluded from the outcome definition?"
    domain, rule = "3 Outcome", context.study.cohort.outcome
    codes = context.table("code_list")
    windows = [WindowContext(context.study, context.lake, w) for w in context.study.windows]
    names = [_feature_names(window) for window in windows]
    if rule is None or codes is None or all(found is None for found in names):
        return Judgment(domain, question, NO_INFORMATION, "No outcome code list or no features.")
    listed = codes.filter(pl.col("list") == rule.code_list)
    features = tuple(sorted({name for found in names if found is not None for name in found}))
    count = len(forbidden_features(features, listed))
    return Judgment(
        domain,
        question,
        NO if count else YES,
        f"{count} of {len(features):,} count features count an outcome code. Counts and narratives "
        "are made from one history, which leaves the codes of this list out.",
        "code_lists",
    )


def _analysis(
    context: StudyContext, cells: Sequence[FinishedCell], topics: Mapping[str, str]
) -> Iterator[Judgment]:
    domain = "4 Analysis"
    protocol = ModelingProtocol.from_study(context.study)
    yield worst([_sample_size(cell) for cell in cells]) or Judgment(
        domain, _SAMPLE_SIZE, NO_INFORMATION, "No cell has been evaluated."
    )
    yield Judgment(
        domain,
        "4.2 Were continuous and categorical predictors handled appropriately?",
        YES,
        "Nothing continuous is cut into groups; counts are "
        + ("on a logarithmic scale." if protocol.preprocessing.log_counts else "as they are."),
    )
    yield worst([_everyone_included(cell) for cell in cells]) or Judgment(
        domain, _EVERYONE, NO_INFORMATION, "No cell has been evaluated."
    )
    yield Judgment(
        domain,
        "4.4 Were participants with missing data handled appropriately?",
        YES,
        "Nobody is dropped for a missing value: it is imputed in the training fold and flagged. "
        "A code without a record counts 0.",
        "table_one",
    )
    yield Judgment(
        domain,
        "4.5 Was selection of predictors by univariable analysis avoided?",
        YES,
        f"A feature needs {protocol.preprocessing.minimum_patients} training patients, whatever "
        "their outcome; nothing is selected by the outcome.",
    )
    yield _by_topic(
        "4.6 Were censoring and competing risks accounted for?",
        topics,
        "time_to_event",
        "A time-to-event arm keeps everyone eligible; death competes.",
        "The time-to-event arm has no results; labels need complete follow-up.",
    )
    windows = [WindowContext(context.study, context.lake, w) for w in context.study.windows]
    dated = [window for window in windows if window.lake.stamp("cohort", window.window)]
    yield worst([label_dates_judgment(window, cells, topics) for window in dated]) or Judgment(
        domain, DATES_QUESTION, NO_INFORMATION, "No cohort has been made."
    )
    measured = [name for name in ("performance", "calibration_curve") if name in topics]
    yield Judgment(
        domain,
        "4.7 Were relevant performance measures evaluated?",
        YES if len(measured) == 2 else NO,
        "Discrimination and calibration with intervals."
        if len(measured) == 2
        else "Discrimination or calibration is not in this report.",
        measured[-1] if measured else "",
    )
    yield _overfitting(protocol, topics)
    yield _by_topic(
        "4.9 Do the models in force correspond to the reported analysis?",
        topics,
        "champion",
        "The bundle in force is the one trained by this protocol; its digest is shown.",
        "No models are in force.",
    )


def _overfitting(protocol: ModelingProtocol, topics: Mapping[str, str]) -> Judgment:
    tuned = protocol.tuning.method != "none"
    choice = "settings are chosen in inner folds" if tuned else "settings are preset, not chosen"
    return Judgment(
        "4 Analysis",
        "4.8 Were overfitting and optimism accounted for?",
        YES,
        f"Every estimate is out of fold ({protocol.folds} folds by patient); imputation, scaling"
        f"{', SMOTE' if protocol.oversampled else ''} and models are fitted in the training fold; "
        f"{choice}."
        + (" Each care site is also judged by models of all others." * ("site_holdout" in topics)),
        "performance",
    )


_SAMPLE_SIZE = "4.1 Was the number of participants with the outcome reasonable?"
_EVERYONE = "4.3 Were all enrolled participants included in the analysis?"


def _sample_size(cell: FinishedCell) -> Judgment:
    domain, context = "4 Analysis", cell.context
    cases = cell.cohort.cases.value if cell.cohort else None
    parameters = _candidate_parameters(context)
    if not cases or parameters is None:
        return Judgment(
            domain, _SAMPLE_SIZE, NO, f"Fewer than {context.minimum_cell} cases, or no features."
        )
    ratio = cases / parameters
    answer = YES if ratio >= _ENOUGH else PROBABLY_YES if ratio >= _FEW else NO
    return Judgment(
        domain,
        _SAMPLE_SIZE,
        answer,
        f"{cases:,} cases for {parameters:,} candidate parameters: {ratio:.2f} events per "
        f"parameter ({context.window.key}, {context.encoder.id}).",
        "sizes",
    )


def _everyone_included(cell: FinishedCell) -> Judgment:
    cohort = cell.context.of_window("cohort")
    domain, key = "4 Analysis", cell.context.window.key
    labeled = cell.cohort.labeled.value if cell.cohort else None
    if cohort is None or labeled is None or cohort.is_empty():
        return Judgment(domain, _EVERYONE, NO_INFORMATION, f"The cohort of {key} is too small.")
    left_out = 1 - labeled / cohort.height
    return Judgment(
        domain,
        _EVERYONE,
        PROBABLY_NO if left_out > _MUCH_CENSORED else PROBABLY_YES,
        f"{100 * left_out:.0f} % of those eligible have no label (censored, or outcome in the "
        f"buffer) in {key}.",
        "flow",
    )


def _candidate_parameters(context: WindowContext) -> int | None:
    """Return features of enough labeled patients, dimensions of embeddings, and demographics."""
    cohort = context.of_window("cohort")
    counts = context.of_window("event_counts")
    if cohort is None or counts is None:
        return None
    labeled = cohort.filter(pl.col("label").is_not_null()).select("patient_id")
    minimum = ModelingProtocol.from_study(context.study).preprocessing.minimum_patients
    carried = counts.join(labeled, on="patient_id", how="semi").group_by("feature").len()
    measured = context.of_window("latest_measurement")
    values = 0 if measured is None else measured["feature"].n_unique()
    frequent = carried.filter(pl.col("len") >= minimum).height
    return len(DEMOGRAPHIC_NAMES) + frequent + values + _dimensions(context)


def _dimensions(context: WindowContext) -> int:
    if not isinstance(context, CellContext):
        return 0
    place = ("patient_embeddings", context.window, context.encoder.id)
    if context.lake.stamp(*place) is None:
        return 0
    vectors = context.lake.scan(*place)
    kind = vectors.collect_schema()["vector"]
    length = kind.size if isinstance(kind, pl.Array) else 0
    return length * int(vectors.select(pl.col("kind").n_unique()).collect().item())


def _feature_names(window: WindowContext) -> list[str] | None:
    counts = window.of_window("event_counts")
    return None if counts is None else counts["feature"].unique().sort().to_list()


def _by_topic(
    question: str, topics: Mapping[str, str], topic: str, present: str, lacking: str
) -> Judgment:
    found = topic in topics
    return Judgment(
        "4 Analysis", question, YES if found else NO, present if found else lacking, topic
    )
