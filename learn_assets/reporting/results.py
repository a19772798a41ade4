"""Results: everything a report shows, collected from the lake and masked on the way out.

What belongs here: the typed content of a report and how it is read. Nothing in it is a patient's,
and every count has passed disclosure control, so whatever prints it need not think about that.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import polars as pl

from learn_assets import __version__
from learn_assets.cohort.windows import Window
from learn_assets.evaluation.performance import ModelCurves, curves
from learn_assets.lake import Lake
from learn_assets.reporting.disclosure import (
    ShownCount,
    shown,
    shown_chain,
    shown_parts,
    shown_share,
)
from learn_assets.reporting.labels import feature_set_rank
from learn_assets.reporting.setup import Fact, limits, setup_facts
from learn_assets.schemas.registry import VALIDATED
from learn_assets.study import EncoderChoice, Study

# Only tables with patient identifiers in them: the fingerprint of a table of counts could be
# compared with guesses at a masked one.
_FINGERPRINTED = (*VALIDATED, "index_events", "narratives")
_FINGERPRINTED_WINDOW = ("cohort", "event_counts", "latest_measurement")
_FINGERPRINTED_CELL = ("patient_embeddings", "cross_validation", "risk_scores")
_PACKAGES = (
    "dagster",
    "dbt-core",
    "dbt-duckdb",
    "duckdb",
    "polars",
    "numpy",
    "scipy",
    "scikit-learn",
    "imbalanced-learn",
    "xgboost",
    "xgboost-cpu",
    "torch",
    "transformers",
    "sentence-transformers",
)


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % limits, where it has them."""

    value: float
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class ModelResult:
    """Metrics of one feature set and learner; a metric that does not exist is absent."""

    feature_set: str
    learner: str
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class CellResults:
    """One window with one encoder: its ladder of models, simplest features first."""

    encoder: str
    models: tuple[ModelResult, ...]
    curves: tuple[ModelCurves, ...]

    def curves_of(self, learner: str) -> tuple[ModelCurves, ...]:
        """Return the curves of one learner, a feature set each, in the order of the ladder."""
        order = list(dict.fromkeys(model.feature_set for model in self.models))
        known = [
            curve
            for curve in self.curves
            if curve.learner == learner and curve.feature_set in order
        ]
        return tuple(sorted(known, key=lambda curve: order.index(curve.feature_set)))


@dataclass(frozen=True)
class AttritionStep:
    """A rule, the patients it leaves and the patients it removes."""

    name: str
    reason: str
    remaining: ShownCount
    removed: ShownCount


@dataclass(frozen=True)
class CohortNumbers:
    """Patients with a label in one window; shares and medians are None where a cell is small."""

    labeled: ShownCount
    cases: ShownCount
    controls: ShownCount
    women: ShownCount
    men: ShownCount
    sex_unknown: ShownCount
    prevalence: float | None
    age_quartiles: tuple[float, float, float] | None
    follow_up_quartiles: tuple[float, float, float] | None
    scoring_population: ShownCount | None


@dataclass(frozen=True)
class WindowResults:
    """One window: how its cohort came about, and its cells."""

    window: Window
    attrition: tuple[AttritionStep, ...]
    cohort: CohortNumbers | None
    cells: tuple[CellResults, ...]


@dataclass(frozen=True)
class CoverageRow:
    """Records of a kind and code system, and what share of them has a description."""

    kind: str
    code_system: str
    records: ShownCount
    share: str


@dataclass(frozen=True)
class QuarantineRow:
    """Rows of a table refused for one reason."""

    table: str
    reason: str
    rows: ShownCount


@dataclass(frozen=True)
class Provenance:
    """What made these results; fingerprints are the first 12 hexadecimal digits."""

    code_version: str
    study_fingerprint: str
    tables: tuple[tuple[str, str], ...]
    packages: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class StudyResults:
    """Everything shown about one study."""

    name: str
    title: str
    synthetic: bool
    minimum_cell: int
    reference_learner: str
    setup: tuple[Fact, ...]
    limits: tuple[str, ...]
    windows: tuple[WindowResults, ...]
    absent: tuple[str, ...]
    coverage: tuple[CoverageRow, ...]
    quarantine: tuple[QuarantineRow, ...]
    provenance: Provenance
    page: Path


def report_page(lake: Lake) -> Path:
    """Return where the study's page lies in the lake."""
    return lake.folder("report") / "study_report.html"


def collect_results(study: Study, lake: Lake) -> StudyResults:
    """Read what has been materialized so far; what has not is listed in `absent`."""
    windows = [_window_results(study, lake, window) for window in study.windows]
    present = tuple(window for window in windows if window.attrition or window.cells)
    cells = {(window.window.key, cell.encoder) for window in present for cell in window.cells}
    wanted = [(window.key, encoder.id) for window in study.windows for encoder in study.encoders]
    return StudyResults(
        name=study.name,
        title=study.title,
        synthetic=study.synthetic,
        minimum_cell=study.privacy.minimum_cell,
        reference_learner=study.models.learners[0],
        setup=setup_facts(study),
        limits=limits(study),
        windows=present,
        absent=tuple(f"{key}, {encoder}" for key, encoder in wanted if (key, encoder) not in cells),
        coverage=_coverage(study, lake),
        quarantine=_quarantine(study, lake),
        provenance=_provenance(study, lake),
        page=report_page(lake),
    )


def _window_results(study: Study, lake: Lake, window: Window) -> WindowResults:
    minimum = study.privacy.minimum_cell
    cohort = _table(lake, "cohort", window)
    attrition = _table(lake, "attrition", window)
    scoring = lake.stamp("scoring_population", window)
    finished = [
        encoder for encoder in study.encoders if lake.stamp("performance", window, encoder.id)
    ]
    return WindowResults(
        window=window,
        attrition=() if attrition is None else _attrition(attrition, cohort, minimum),
        cohort=None
        if cohort is None
        else _cohort_numbers(cohort, None if scoring is None else scoring.rows, minimum),
        cells=tuple(cell_results(study, lake, window, encoder) for encoder in finished),
    )


def _table(
    lake: Lake, table: str, window: Window | None = None, encoder: str | None = None
) -> pl.DataFrame | None:
    if lake.stamp(table, window, encoder) is None:
        return None
    return lake.read(table, window, encoder)


def _attrition(
    attrition: pl.DataFrame, cohort: pl.DataFrame | None, minimum: int
) -> tuple[AttritionStep, ...]:
    steps = attrition.sort("step")
    names, reasons = steps["name"].to_list(), steps["reason"].to_list()
    remaining = steps["remaining"].to_list()
    for name, reason, left in () if cohort is None else _unlabeled_steps(cohort):
        if remaining and left != remaining[-1]:
            names.append(name)
            reasons.append(reason)
            remaining.append(left)
    chain = shown_chain(remaining, minimum)
    rows = zip(names, reasons, chain.remaining, chain.removed, strict=True)
    return tuple(AttritionStep(*row) for row in rows)


def _unlabeled_steps(cohort: pl.DataFrame) -> list[tuple[str, str, int]]:
    """Return why eligible patients have no label (policy prospective), and how many stay."""
    in_buffer = cohort.filter(pl.col("label").is_null(), "event_observed").height
    return [
        (
            "outcome_in_buffer",
            "no label: outcome within the buffer period, too soon to predict",
            cohort.height - in_buffer,
        ),
        (
            "labeled",
            "no label: observation ends before the window does (censored)",
            cohort["label"].count(),
        ),
    ]


def _cohort_numbers(cohort: pl.DataFrame, scoring: int | None, minimum: int) -> CohortNumbers:
    labeled = cohort.filter(pl.col("label").is_not_null())
    cases = int(labeled["label"].sum())
    case_count, control_count = shown_parts([cases, labeled.height - cases], minimum)
    sexes = [labeled.filter(pl.col("sex") == sex).height for sex in ("F", "M", "U")]
    women, men, unknown = shown_parts(sexes, minimum)
    enough = labeled.height >= minimum
    return CohortNumbers(
        labeled=shown(labeled.height, minimum),
        cases=case_count,
        controls=control_count,
        women=women,
        men=men,
        sex_unknown=unknown,
        prevalence=None if case_count.value is None or not enough else cases / labeled.height,
        age_quartiles=_quartiles(labeled["age_at_index"]) if enough else None,
        follow_up_quartiles=_quartiles(labeled["time_to_event_days"]) if enough else None,
        scoring_population=None if scoring is None else shown(scoring, minimum),
    )


def _quartiles(values: pl.Series) -> tuple[float, float, float] | None:
    known = values.drop_nulls().cast(pl.Float64)
    if known.is_empty():
        return None
    low, middle, high = (known.quantile(share, "linear") for share in (0.25, 0.5, 0.75))
    if low is None or middle is None or high is None:
        return None
    return low, middle, high


def cell_results(study: Study, lake: Lake, window: Window, encoder: EncoderChoice) -> CellResults:
    """Return what one cell shows. MissingTableError when it has no performance yet."""
    performance = lake.read("performance", window, encoder.id)
    predictions = _table(lake, "cross_validation", window, encoder.id)
    minimum = study.privacy.minimum_cell
    order: dict[str, int] = {learner: rank for rank, learner in enumerate(study.models.learners)}
    return CellResults(
        encoder=encoder.id,
        models=tuple(sorted(_models(performance), key=lambda model: _rank(model, order))),
        curves=() if predictions is None else curves(predictions, minimum_cell=minimum),
    )


def _rank(model: ModelResult, learners: dict[str, int]) -> tuple[int, str, int, str]:
    place = learners.get(model.learner, len(learners))
    return feature_set_rank(model.feature_set), model.feature_set, place, model.learner


def _models(performance: pl.DataFrame) -> list[ModelResult]:
    metrics: dict[tuple[str, str], dict[str, Estimate]] = {}
    for row in performance.iter_rows(named=True):
        of_model = metrics.setdefault((row["feature_set"], row["learner"]), {})
        if row["estimate"] is not None:
            of_model[row["metric"]] = Estimate(row["estimate"], row["lower"], row["upper"])
    return [ModelResult(*names, found) for names, found in metrics.items()]


def _coverage(study: Study, lake: Lake) -> tuple[CoverageRow, ...]:
    table = _table(lake, "description_coverage")
    if table is None:
        return ()
    minimum = study.privacy.minimum_cell
    return tuple(
        CoverageRow(
            row["kind"],
            row["code_system"],
            shown(row["records"], minimum),
            shown_share(row["described"], row["records"], minimum),
        )
        for row in table.sort("kind", "code_system").iter_rows(named=True)
    )


def _quarantine(study: Study, lake: Lake) -> tuple[QuarantineRow, ...]:
    rows = []
    for name in VALIDATED:
        table = _table(lake, f"{name}_quarantine")
        if table is None:
            continue
        reasons = table.group_by("reason").len().sort("reason")
        for reason, count in reasons.iter_rows():
            rows.append(QuarantineRow(name, reason, shown(count, study.privacy.minimum_cell)))
    return tuple(rows)


def _provenance(study: Study, lake: Lake) -> Provenance:
    document = study.model_dump_json(by_alias=True, exclude={"lake": True})
    return Provenance(
        code_version=__version__,
        study_fingerprint=hashlib.sha256(document.encode()).hexdigest()[:12],
        tables=tuple(_fingerprints(study, lake)),
        packages=(("python", platform.python_version()), *_installed()),
    )


def _fingerprints(study: Study, lake: Lake) -> list[tuple[str, str]]:
    places: list[tuple[str, Window | None, str | None]] = [
        *((table, None, None) for table in _FINGERPRINTED),
        *((table, window, None) for window in study.windows for table in _FINGERPRINTED_WINDOW),
        *(
            (table, window, encoder.id)
            for window in study.windows
            for encoder in study.encoders
            for table in _FINGERPRINTED_CELL
        ),
    ]
    found = []
    for table, window, encoder in places:
        stamp = lake.stamp(table, window, encoder)
        if stamp is not None:
            place = [part for part in (table, window and window.key, encoder) if part]
            found.append((" / ".join(place), stamp.fingerprint[:12]))
    return found


def _installed() -> list[tuple[str, str]]:
    found = []
    for package in _PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return found
