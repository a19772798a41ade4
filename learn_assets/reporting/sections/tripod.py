"""TRIPOD+AI: each item of the statement, and whether this report holds it.

What belongs here: the items (Collins et al., BMJ 2024;385:e078378, shortened), what in a report
answers them, and what only a person can write. The status follows from what the report holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from learn_assets.reporting.document import Column, Paragraph, Section, Table
from learn_assets.reporting.values import Value, words

REPORTED, NOT_REPORTED, PERSON = "Reported", "Not reported", "Needs a person"


@dataclass(frozen=True)
class Item:
    """One item: its topics in the report, all of which it needs, and what a person must add.

    either: topics of which one is enough.
    """

    number: str
    part: str
    text: str
    topics: tuple[str, ...] = ()
    person: str = ""
    either: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """An item with its status, where to read it, and what is missing."""

    item: Item
    status: str
    anchor: str | None
    missing: str


# What TRIPOD-Cluster (Debray et al., BMJ 2023;380:e071018) asks of clustered data.
_CLUSTERS = ("site_holdout", "external_validation")

ITEMS = (
    Item("1", "Title", "Kind of study, target population and outcome in the title", (),
         "word the title of the paper"),
    Item("2", "Abstract", "Abstract as TRIPOD+AI for Abstracts asks", (), "write the abstract"),
    Item("3a", "Background", "Healthcare context, rationale, existing models", (),
         "write the background"),
    Item("3b", "Background", "Target population, intended purpose and users", (),
         "say who would use the model, and when"),
    Item("3c", "Background", "Known health inequalities between groups", (),
         "describe what is known"),
    Item("4", "Objectives", "Objectives; development, validation or both", ("question",)),
    Item("5a", "Data", "Sources of data, rationale and representativeness", ("setup",),
         "say where the extract is from and whom it represents"),
    Item("5b", "Data", "Dates of accrual and of follow-up", ("sizes",)),
    Item("6a", "Participants", "Setting, number and location of centers", (),
         "name the setting and the centers"),
    Item("6b", "Participants", "Eligibility criteria", ("setup", "flow")),
    Item("6c", "Participants", "Treatments received and how they were handled", ("setup",),
         "say which treatments matter; drug records before index are features"),
    Item("7", "Data preparation", "Pre-processing and quality checks",
         ("expectations", "coverage", "quarantine")),
    Item("8a", "Outcome", "Outcome and time horizon, rationale, consistency across groups",
         ("setup", "windows", "code_lists"), "give the rationale for the outcome"),
    Item("8b", "Outcome", "Qualification of those who assess the outcome", (),
         "codes by clinicians: say who codes"),
    Item("8c", "Outcome", "Blinding of the outcome's assessment", ("risk_of_bias",)),
    Item("9a", "Predictors", "Choice of initial predictors and pre-selection",
         ("setup", "risk_of_bias")),
    Item("9b", "Predictors", "Definition of predictors, how and when measured",
         ("setup", "code_lists")),
    Item("9c", "Predictors", "Qualification of those who assess predictors", (),
         "codes by clinicians: say who codes"),
    Item("10", "Sample size", "How the size was arrived at, and whether it suffices",
         ("risk_of_bias",), "justify the size; events per parameter are shown"),
    Item("11", "Missing data", "How missing data were handled", ("risk_of_bias", "table_one")),
    Item("12a", "Analysis", "How the data were used and partitioned", ("setup",)),
    Item("12b", "Analysis", "How predictors were handled: form, scaling", ("setup", "study_file")),
    Item("12c", "Analysis", "Type of model, building steps, tuning, internal validation",
         ("setup", "study_file", "performance")),
    Item("12d", "Analysis", "Heterogeneity across clusters", either=_CLUSTERS),
    Item("12e", "Analysis", "Measures and plots of performance, comparison of models",
         ("performance", "calibration_curve", "net_benefit", "comparisons")),
    Item("12f", "Analysis", "Model updating arising from evaluation", ("external_validation",)),
    Item("12g", "Analysis", "How predictions were calculated", ("champion", "provenance")),
    Item("13", "Class imbalance", "Methods for class imbalance and recalibration",
         ("setup", "calibration_slopes")),
    Item("14", "Fairness", "Approaches to fairness and their rationale", ("subgroups",),
         "give the rationale; performance by sex, age and race is what is computed"),
    Item("15", "Model output", "Output of the model, thresholds and their rationale",
         ("setup", "further_metrics"), "name a threshold for use, if any"),
    Item("16", "Training versus evaluation", "Differences between development and evaluation data",
         ("site_differences",)),
    Item("17", "Ethics", "Approval and consent or waiver", (), "name the committee"),
    Item("18a", "Open science", "Funding", (), "declare it"),
    Item("18b", "Open science", "Conflicts of interest", (), "declare them"),
    Item("18c", "Open science", "Protocol", ("study_file",),
         "say where the protocol is; the study file is shown"),
    Item("18d", "Open science", "Registration", (), "give the register or say there is none"),
    Item("18e", "Open science", "Data sharing", (), "say how data can be had"),
    Item("18f", "Open science", "Code sharing", ("provenance",),
         "say where the code is; its version is shown"),
    Item("19", "Public involvement", "Patients and public in the study", (), "describe it"),
    Item("20a", "Participants", "Flow of participants, outcomes, follow-up time",
         ("flow", "sizes")),
    Item("20b", "Participants", "Characteristics, predictors, events, missing data",
         ("table_one",)),
    Item("20c", "Participants", "Comparison with the development data", ("site_differences",)),
    Item("21", "Model development", "Participants and events in each analysis",
         ("sizes", "severe_outcomes", "time_to_event")),
    Item("22", "Model specification", "Full model, for predictions in new people",
         ("champion", "study_file"), "say how the model bundle can be had"),
    Item("23a", "Performance", "Estimates with intervals, and in subgroups",
         ("performance", "subgroups")),
    Item("23b", "Performance", "Heterogeneity across clusters", either=_CLUSTERS),
    Item("24", "Model updating", "Results of model updating", ("external_validation",)),
    Item("25", "Interpretation", "Overall interpretation, fairness included", ("findings",),
         "interpret the findings"),
    Item("26", "Limitations", "Limitations and their effect", ("limits",),
         "discuss them; those that follow from the method are listed"),
    Item("27a", "Usability", "Poor or unavailable input data in use", ("risk_of_bias",),
         "say who checks inputs in use"),
    Item("27b", "Usability", "Interaction and expertise required of users", (), "describe it"),
    Item("27c", "Usability", "Next steps for research", (), "discuss them"),
)  # fmt: skip


def answered(topics: Mapping[str, str]) -> tuple[Answer, ...]:
    """Return each item with its status; `topics` are what the report shows, and where."""
    return tuple(_answer(item, topics) for item in ITEMS)


def tripod(topics: Mapping[str, str]) -> Section:
    """Return the statement as a table with a link to where each item is reported."""
    answers = answered(topics)
    found = Counter(answer.status for answer in answers)
    summary = (
        f"{found[REPORTED]} reported, {found[NOT_REPORTED]} not reported, "
        f"{found[PERSON]} that need a person"
    )
    return Section(
        "tripod-ai",
        "TRIPOD+AI",
        (
            Paragraph(
                f"{len(answers)} items and sub-items of the statement (Collins et al., BMJ "
                f"2024;385:e078378), shortened: {summary}. The status is computed from what this "
                "report holds."
            ),
            Table(
                "tripod_items",
                "TRIPOD+AI items and where they are reported",
                (
                    Column("item", "Item", numeric=False),
                    Column("part", "Part", numeric=False),
                    Column("asks", "What it asks for", numeric=False),
                    Column("status", "Status", numeric=False),
                    Column("missing", "What is missing", numeric=False),
                ),
                tuple(_row(answer) for answer in answers),
            ),
        ),
    )


def _answer(item: Item, topics: Mapping[str, str]) -> Answer:
    lacking = [topic for topic in item.topics if topic not in topics]
    present = [topic for topic in (*item.topics, *item.either) if topic in topics]
    if item.either and not set(item.either) & set(present):
        lacking.append(" or ".join(item.either))
    anchor = topics[present[0]] if present else None
    if lacking:
        named = ", ".join(topic.replace("_", " ") for topic in lacking)
        missing = f"no {named} in this report" + (f"; {item.person}" if item.person else "")
        return Answer(item, NOT_REPORTED, anchor, missing)
    if item.person:
        return Answer(item, PERSON, anchor, item.person)
    return Answer(item, REPORTED, anchor, "")


def _row(answer: Answer) -> tuple[Value, ...]:
    item = answer.item
    return (
        words(item.number),
        words(item.part),
        words(item.text),
        words(answer.status, link=answer.anchor),
        words(answer.missing),
    )
