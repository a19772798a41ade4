"""Site hold-out: against a naive loop, planted leaks, and a planted loss that counts alone have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from scipy.special import logit
from scipy.stats import norm

from learn_assets.analyses.site_holdout import computation as module
from learn_assets.analyses.site_holdout.computation import (
    DIFFERENCE,
    SUMMARIZED,
    SiteSplit,
    SiteSplits,
    site_holdout,
    site_splits,
)
from learn_assets.modeling.arrays import IndexVector, Labels
from learn_assets.modeling.cross_validation import (
    CrossValidation,
    cross_validate,
    fit_grid,
    predict,
    predict_split,
)
from learn_assets.modeling.features import FeatureBlocks
from learn_assets.modeling.leakage import LeakError
from learn_assets.modeling.pipeline import Cell, build_cell
from learn_assets.modeling.preprocessing import preprocess
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.calibration import calibration_intercept, calibration_slope
from learn_assets.statistics.discrimination import auroc
from learn_assets.statistics.paired import auroc_difference
from learn_assets.statistics.random_effects import random_effects
from learn_assets.study import SyntheticSource
from learn_assets.synthetic.care_sites import care_site_table, draw_care_sites, records_by_site
from learn_assets.synthetic.codebook import codebook
from learn_assets.synthetic.patients import draw_block
from learn_assets_tests.evaluation.coded_sites import coded_cell
from learn_assets_tests.modeling.site import (
    SMALL,
    cell_tables,
    fit_preprocessing_on_everyone,
)

LINEAR = replace(SMALL, learners=("elastic_net",), feature_sets=("count", "embedding"))
MINIMUM = LINEAR.minimum_cell
MODELS = [("age_sex", "elastic_net"), ("count", "elastic_net"), ("embedding", "elastic_net")]


def cohort_of(cell: Cell) -> pl.DataFrame:
    """Return the labeled patients of a cell as the table `cohort` has them, and one without."""
    ids = cell.blocks.patient_ids[cell.labeled].tolist()
    labels: list[int | None] = [*cell.labels.tolist(), None]
    return pl.DataFrame(
        {"patient_id": [*ids, "unlabeled"], "label": labels},
        schema={"patient_id": pl.String, "label": pl.Int8},
    )


def stated(cell: Cell, names: list[str | None]) -> pl.DataFrame:
    """Return the table `care_site`: the labeled patients' sites in turn, and one of a stranger."""
    ids = cell.blocks.patient_ids[cell.labeled].tolist()
    rows = [
        (patient, names[place % len(names)], place + 1)
        for place, patient in enumerate(ids)
        if names[place % len(names)] is not None
    ]
    return pl.DataFrame(
        [*rows, ("unlabeled", "north", 9998), ("stranger", "east", 9999)],
        schema={"patient_id": pl.String, "care_site": pl.String, "source_row": pl.Int64},
        orient="row",
    )


@pytest.fixture(scope="module")
def cell() -> Cell:
    return build_cell(cell_tables(labeled=260, signal=2.0), LINEAR)


@pytest.fixture(scope="module")
def own(cell: Cell) -> pl.DataFrame:
    return cross_validate(cell.blocks.rows(cell.labeled), cell.labels, LINEAR).frame


@pytest.fixture(scope="module")
def splits(cell: Cell) -> SiteSplits:
    # Three sites of 78 patients each, and a tenth of the patients of whom none is stated.
    names: list[str | None] = [*("north", "south", "west") * 3, None]
    return site_splits(cohort_of(cell), stated(cell, names), MINIMUM)


@pytest.fixture(scope="module")
def frame(cell: Cell, splits: SiteSplits, own: pl.DataFrame) -> pl.DataFrame:
    found = site_holdout(cell, splits, own, LINEAR, resamples=50)
    assert found.reason is None
    return found.frame


def at(frame: pl.DataFrame, care_site: str | None, model: tuple[str, str]) -> dict[str, float]:
    """Return metric -> estimate of one site, or over the sites."""
    chosen = frame.filter(
        pl.col("care_site").eq_missing(pl.lit(care_site)),
        pl.col("feature_set") == model[0],
        pl.col("learner") == model[1],
    )
    return dict(chosen.select("metric", "estimate").iter_rows())


def test_a_naive_loop_over_sites_gives_the_same(
    cell: Cell, splits: SiteSplits, own: pl.DataFrame, frame: pl.DataFrame
) -> None:
    assert frame.schema == empty_frame("site_holdout").schema
    assert frame["care_site"].drop_nulls().unique().sort().to_list() == ["north", "south", "west"]
    blocks = cell.blocks.rows(cell.labeled)
    site_of = dict(zip(splits.patient_ids, splits.care_sites, strict=True))
    assert list(site_of.values()).count(None) == 26
    areas: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name in ("north", "south", "west"):
        here = [row for row, patient in enumerate(blocks.patient_ids) if site_of[patient] == name]
        elsewhere = [
            row
            for row, patient in enumerate(blocks.patient_ids)
            if site_of[patient] not in (name, None)
        ]
        preprocessing, matrix = preprocess(
            blocks.rows(np.array(elsewhere)), LINEAR.preprocessing, cell.labels[elsewhere]
        )
        fitted, _ = fit_grid(matrix, cell.labels[elsewhere], preprocessing, LINEAR)
        unseen = preprocessing.transform(blocks.rows(np.array(here)))
        labels = cell.labels[here].astype(np.int64)
        for item in fitted:
            scores = predict(item, unseen, preprocessing)
            model = (str(item.feature_set), str(item.learner))
            rows = own.filter(feature_set=model[0], learner=model[1])
            before = dict(rows.select("patient_id", "probability").iter_rows())
            folds = dict(rows.select("patient_id", "fold").iter_rows())
            ids = blocks.patient_ids[here]
            ordinary = np.array([before[patient] for patient in ids])
            fold = np.array([folds[patient] for patient in ids])
            area = auroc(scores, labels)
            expected = {
                "n": len(here),
                "cases": int(labels.sum()),
                "auroc": area.estimate,
                "brier": float(((scores - labels) ** 2).mean()),
                "calibration_intercept": calibration_intercept(scores, labels).estimate,
                "calibration_slope": calibration_slope(scores, labels).estimate,
                "auroc_cross_validation": auroc(ordinary, labels, folds=fold).estimate,
                DIFFERENCE: auroc_difference(scores, ordinary, labels, fold).estimate,
            }
            assert at(frame, name, model) == pytest.approx(expected)
            error = (logit(area.upper) - logit(area.estimate)) / norm.ppf(0.975)
            areas.setdefault(model, []).append((float(logit(area.estimate)), float(error**2)))
    assert sorted(areas) == MODELS
    for model, pairs in areas.items():
        estimates, variances = (np.array(part) for part in zip(*pairs, strict=True))
        summary = random_effects(estimates, variances)
        row = frame.filter(pl.col("care_site").is_null(), feature_set=model[0], metric="auroc").row(
            0, named=True
        )
        assert logit(row["estimate"]) == pytest.approx(summary.mean.estimate)
        assert logit(row["lower"]) == pytest.approx(summary.mean.lower)
        assert logit(row["prediction_upper"]) == pytest.approx(summary.prediction.upper)
        assert row["between_sites"] == pytest.approx(summary.between_sites)
        over_all = at(frame, None, model)
        assert set(SUMMARIZED) <= set(over_all)
        assert (over_all["sites"], over_all["sites_too_small"]) == (3, 0)
        assert over_all["without_care_site_n"] == 26


def test_a_patient_of_the_site_that_is_held_out_is_found_out_in_training(
    cell: Cell, splits: SiteSplits, own: pl.DataFrame
) -> None:
    first = splits.judged[0]

    def planted(split: SiteSplit) -> SiteSplits:
        return replace(splits, judged=(split, *splits.judged[1:]))

    # One patient of the site is not judged but learned from: no patient is in both parts.
    moved = replace(
        first,
        training=np.sort(np.append(first.training, first.held_out[0])),
        held_out=first.held_out[1:],
    )
    with pytest.raises(LeakError, match="1 patients of the site that is held out"):
        site_holdout(cell, planted(moved), own, LINEAR)
    nowhere = next(row for row, site in enumerate(splits.care_sites) if site is None)
    unknown = replace(first, training=np.append(first.training, nowhere))
    with pytest.raises(LeakError, match="1 patients whose care site is not stated"):
        site_holdout(cell, planted(unknown), own, LINEAR)
    both = replace(first, held_out=np.append(first.held_out, first.training[0]))
    with pytest.raises(LeakError, match="1 patients are both"):
        site_holdout(cell, planted(both), own, LINEAR)
    with pytest.raises(ValueError, match="other patients"):
        site_holdout(cell, replace(splits, patient_ids=splits.patient_ids[1:]), own, LINEAR)


def turned_round(cell: Cell, rows: np.ndarray) -> Cell:
    """Return the cell with other labels, counts, results and vectors of some labeled patients."""
    labels = cell.labels.copy()
    labels[rows] = 1 - labels[rows]
    places = cell.labeled[rows]
    counts = cell.blocks.counts.toarray()
    counts[places] = 40 + counts[places][:, ::-1]
    measurements = cell.blocks.measurements.copy()
    measurements[places] = 1000.0
    vectors = []
    for block in cell.blocks.embeddings:
        changed = block.vectors.copy()
        changed[places] = 7.0
        vectors.append(replace(block, vectors=changed))
    blocks = replace(
        cell.blocks,
        counts=sparse.csr_array(counts),
        measurements=measurements,
        embeddings=tuple(vectors),
    )
    return replace(cell, blocks=blocks, labels=labels)


def predictions_at(
    monkeypatch: pytest.MonkeyPatch, cell: Cell, splits: SiteSplits, own: pl.DataFrame, rows: set
) -> pl.DataFrame:
    """Return what models of the other sites say of the labeled patients at these rows."""
    seen: list[pl.DataFrame] = []

    def watched(*given: Any, **named: Any) -> CrossValidation:
        result = predict_split(*given, **named)
        seen.append(result.frame)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(module, "predict_split", watched)
        site_holdout(cell, splits, own, LINEAR, resamples=2)
    ids = [splits.patient_ids[row] for row in sorted(rows)]
    judged = pl.concat(seen).filter(pl.col("patient_id").is_in(ids))
    return judged.select("feature_set", "patient_id", "probability").sort(pl.all())


def test_labels_and_records_of_a_site_change_nothing_in_models_learned_elsewhere(
    cell: Cell, splits: SiteSplits, own: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a site is turned round; what is said of its other half stays to the last bit."""
    held_out = splits.judged[1].held_out
    changed = turned_round(cell, held_out[::2])
    kept = set(held_out[1::2].tolist())
    given = (splits, own, kept)
    before = predictions_at(monkeypatch, cell, *given)
    assert before.height == len(MODELS) * len(kept)
    assert predictions_at(monkeypatch, changed, *given).equals(before)
    # The same look finds scaling that is learned from everybody.
    with monkeypatch.context() as leak:
        fit_preprocessing_on_everyone(leak)
        leaky = [predictions_at(monkeypatch, one, *given) for one in (cell, changed)]
    assert not leaky[0].equals(leaky[1])


def test_only_sites_with_enough_cases_and_controls_are_judged(cell: Cell) -> None:
    cohort = cohort_of(cell)
    ids = np.array(cohort.drop_nulls()["patient_id"].to_list())
    labels = cohort.drop_nulls()["label"].to_numpy()
    cases, controls = ids[labels == 1], ids[labels == 0]
    few = [*cases[: MINIMUM - 1], *controls[:60]]
    site_of = dict.fromkeys(ids, "large") | dict.fromkeys(few, "few cases")
    site_of |= dict.fromkeys([*cases[-30:], *controls[-30:]], "other")
    table = pl.DataFrame(
        {"patient_id": list(site_of), "care_site": list(site_of.values())},
        schema={"patient_id": pl.String, "care_site": pl.String},
    )
    found = site_splits(cohort, table, MINIMUM)
    assert [split.care_site for split in found.judged] == ["large", "other"]
    assert (found.too_small, found.reason) == (1, None)
    # Patients of the site that is too small are learned from.
    assert len(found.judged[0].training) == 60 + len(few)
    one_more = table.with_columns(
        pl.when(pl.col("patient_id") == cases[MINIMUM])
        .then(pl.lit("few cases"))
        .otherwise("care_site")
        .alias("care_site")
    )
    assert len(site_splits(cohort, one_more, MINIMUM).judged) == 3


def test_no_care_sites_or_one_that_is_large_enough_say_why_nothing_is_shown(
    cell: Cell, own: pl.DataFrame
) -> None:
    nobody = stated(cell, ["north"]).clear()
    for table, words in ((nobody, "states no care sites"), (stated(cell, ["north"]), "than two")):
        splits = site_splits(cohort_of(cell), table, MINIMUM)
        found = site_holdout(cell, splits, own, LINEAR)
        assert found.frame.is_empty()
        assert found.frame.schema == empty_frame("site_holdout").schema
        assert words in str(found.reason)


@pytest.mark.parametrize("unstated", [0, 3, 60])
def test_no_count_gives_a_small_one_away(cell: Cell, own: pl.DataFrame, unstated: int) -> None:
    """All labeled patients and cases are shown elsewhere; what is not judged is the rest."""
    names = stated(cell, ["north", "south", "south"])[unstated:]
    splits = site_splits(cohort_of(cell), names, MINIMUM)
    found = site_holdout(cell, splits, own, LINEAR, resamples=2).frame
    shown = {name: at(found, name, MODELS[0]) for name in ("north", "south")}
    over_all = at(found, None, MODELS[0])
    smallest, largest = shown["north"], shown["south"]
    assert {"n", "cases"} <= set(largest)
    assert ("n" in smallest) == ("cases" in smallest) == (unstated != 3)
    assert {"auroc", "calibration_slope"} <= set(smallest)
    assert ("without_care_site_n" in over_all) == (unstated != 3)
    rest = len(cell.labels) - sum(one["n"] for one in shown.values() if "n" in one)
    assert not 0 < rest < MINIMUM


def test_whatever_the_sites_what_is_not_shown_is_not_small(
    cell: Cell, own: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random networks: subtracting what is shown from all labeled patients leaves no few."""
    ids = cell.blocks.patient_ids[cell.labeled]
    draw = np.random.default_rng(4)

    def guessed(
        blocks: FeatureBlocks,
        labels: Labels,
        training: IndexVector,
        held_out: IndexVector,
        protocol: ModelingProtocol,
        *,
        workers: int | None,
    ) -> CrossValidation:
        assert not set(training) & set(held_out)
        frame = pl.DataFrame(
            {"patient_id": blocks.patient_ids[held_out].tolist(), "label": labels[held_out]}
        ).with_columns(
            pl.lit(0, pl.Int32).alias("fold"),
            pl.lit("count").alias("feature_set"),
            pl.lit("elastic_net").alias("learner"),
            pl.Series("probability", draw.random(len(held_out))),
        )
        return CrossValidation(frame)

    monkeypatch.setattr(module, "predict_split", guessed)
    judged, withheld = 0, 0
    for _ in range(60):
        sizes = draw.dirichlet(np.full(5, 0.6))
        names = draw.choice(["a", "b", "c", "d", None], len(ids), p=sizes)
        table = pl.DataFrame(
            {"patient_id": ids, "care_site": names.tolist()},
            schema={"patient_id": pl.String, "care_site": pl.String},
        ).drop_nulls()
        splits = site_splits(cohort_of(cell), table, MINIMUM)
        found = site_holdout(cell, splits, own, LINEAR, resamples=1).frame
        if found.is_empty():
            continue
        shown = found.filter(pl.col("care_site").is_not_null())
        patients, cases = (shown.filter(metric=name)["estimate"].sum() for name in ("n", "cases"))
        rest_cases = int(cell.labels.sum() - cases)
        rest = len(ids) - int(patients)
        named = found.filter(pl.col("metric").is_in(["too_small_n", "without_care_site_n"]))
        unnamed = rest - int(named["estimate"].sum())
        for left in (rest, rest_cases, rest - rest_cases, unnamed):
            assert not 0 < left < MINIMUM
        judged += len(splits.judged)
        withheld += len(splits.judged) - shown.filter(metric="n").height
    assert judged > withheld > 0


def test_names_that_tell_one_patient_each_are_never_shown(cell: Cell, own: pl.DataFrame) -> None:
    ids = cell.blocks.patient_ids[cell.labeled].tolist()
    names = [f"of {patient}" if place % 3 else "large" for place, patient in enumerate(ids)]
    names[1::9] = ["other"] * len(names[1::9])
    table = pl.DataFrame({"patient_id": ids, "care_site": names})
    found = site_holdout(cell, site_splits(cohort_of(cell), table, MINIMUM), own, LINEAR).frame
    assert found["care_site"].drop_nulls().unique().sort().to_list() == ["large", "other"]


def network(seed: int, *, other_habit: bool) -> tuple[Cell, pl.DataFrame]:
    """Return the patients of three institutions, of which the last may code otherwise."""
    settings = SyntheticSource(
        format="synthetic",
        care_sites=3,
        other_habit_at_last_site=other_habit,
        shared_synonyms=0.0,
    )
    generator = np.random.default_rng(seed)
    block = draw_block(0, 3500, generator)
    sites = draw_care_sites(len(block), 3, np.random.default_rng(seed + 100))
    book = codebook("home", settings.shared_synonyms)
    records = records_by_site(block, book, settings, sites, generator)
    table = care_site_table(block, sites).select("patient_id", "care_site")
    return coded_cell(block, records, LINEAR), table


def held_out_frame(seed: int, *, other_habit: bool) -> pl.DataFrame:
    cell, table = network(seed, other_habit=other_habit)
    own = cross_validate(cell.blocks.rows(cell.labeled), cell.labels, LINEAR).frame
    splits = site_splits(cohort_of(cell), table, 11)
    found = site_holdout(cell, splits, own, LINEAR, resamples=2)
    assert found.reason is None
    return found.frame


@pytest.mark.slow
def test_a_site_that_writes_other_codes_costs_counts_more_than_meanings() -> None:
    frame = held_out_frame(1, other_habit=True)
    lost = {
        row["feature_set"]: row
        for row in frame.filter(care_site="site_3", metric=DIFFERENCE).iter_rows(named=True)
    }
    counts, meanings = lost["count"], lost["embedding"]
    assert counts["upper"] < 0
    assert counts["estimate"] < meanings["estimate"] - 0.1
    assert abs(meanings["estimate"]) < 0.04
    # At the sites that write alike, nothing of this is seen.
    rest = frame.filter(pl.col("care_site") != "site_3", feature_set="count", metric=DIFFERENCE)
    assert rest["estimate"].min() > counts["estimate"] + 0.1


@pytest.mark.slow
def test_without_a_planted_shift_new_sites_lose_nothing() -> None:
    frame = held_out_frame(2, other_habit=False).filter(pl.col("care_site").is_null())
    for model in MODELS[1:]:
        own = frame.filter(feature_set=model[0])
        difference = own.filter(metric=DIFFERENCE).row(0, named=True)
        assert difference["lower"] <= 0 <= difference["upper"]
        assert abs(difference["estimate"]) < 0.03
        area = own.filter(metric="auroc").row(0, named=True)
        ordinary = own.filter(metric="auroc_cross_validation").row(0, named=True)
        assert area["lower"] <= ordinary["estimate"] <= area["upper"]
        assert area["between_sites"] < 0.25
        slope = own.filter(metric="calibration_slope").row(0, named=True)
        assert slope["lower"] <= 1 <= slope["upper"]
