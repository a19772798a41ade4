"""Leaderboards: choosing among cells of pure noise finds nothing, and who judges never chooses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from learn_assets.analyses.leaderboards.computation import (
    CellName,
    choose,
    leaderboard,
    with_differences,
)
from learn_assets.analyses.nested_selection.computation import nested_scores, nested_selection
from learn_assets.evaluation.performance import performance
from learn_assets.modeling.arrays import IndexVector, Labels
from learn_assets.modeling.leakage import LeakError
from learn_assets.modeling.pipeline import build_cell
from learn_assets.modeling.study_parts import is_of_parts, study_parts
from learn_assets.schemas.registry import empty_frame
from learn_assets.statistics.discrimination import auroc
from learn_assets.statistics.paired import auroc_difference
from learn_assets_tests.modeling.site import SMALL, cell_tables

PATIENTS, CANDIDATES, PARTS = 60, 10, 5
Matrix = npt.NDArray[np.float64]
Split = tuple[IndexVector, IndexVector]
IDS = np.array([f"P{number:03d}" for number in range(PATIENTS)])


def toward_the_cases(features: Matrix, labels: Labels, split: Split) -> Matrix:
    """Return how far those judged lie in the direction from mean control to mean case."""
    training, judged = split
    known, seen = labels[training], features[training]
    direction = seen[known == 1].mean(axis=0) - seen[known == 0].mean(axis=0)
    return np.asarray(1 / (1 + np.exp(-features[judged] @ direction)))


def nested_table(features: Matrix, labels: Labels, part: npt.NDArray[np.int32]) -> pl.DataFrame:
    def predict_all(splits: Sequence[Split]) -> list[Matrix]:
        return [toward_the_cases(features, labels, split) for split in splits]

    return nested_scores(IDS, labels, part, predict_all, seed=3)


def ordinary_table(features: Matrix, labels: Labels, part: npt.NDArray[np.int32]) -> pl.DataFrame:
    """Return the same table from one cross-validation, as it must not be made."""
    scores = np.empty(PATIENTS)
    for number in range(PARTS):
        split = (np.flatnonzero(part != number), np.flatnonzero(part == number))
        scores[split[1]] = toward_the_cases(features, labels, split)
    among_others = [
        auroc(scores[part != number], labels[part != number], folds=part[part != number]).estimate
        for number in range(PARTS)
    ]
    columns = {
        "patient_id": IDS,
        "part": part,
        "inner_auroc": np.array(among_others)[part],
        "probability": scores,
        "label": labels,
    }
    return pl.DataFrame(columns, schema=empty_frame("nested_selection").schema)


@pytest.mark.slow
def test_choosing_among_cells_of_noise_finds_nothing() -> None:
    """The best cell's own AUROC is far above chance, and so is a choice by cross-validation."""
    honest, ordinary, best = [], [], []
    for seed in range(40):
        random = np.random.default_rng(seed)
        labels = random.permutation(np.repeat([1, 0], [20, 40])).astype(np.int8)
        part = random.permutation(np.arange(PATIENTS) % PARTS).astype(np.int32)
        cells = [random.normal(size=(PATIENTS, 4)) for _ in range(CANDIDATES)]
        names = [CellName(f"window {number}", "encoder") for number in range(CANDIDATES)]
        nested = [nested_table(features, labels, part) for features in cells]
        leaky = [ordinary_table(features, labels, part) for features in cells]
        for tables, found in ((nested, honest), (leaky, ordinary)):
            chosen = choose(dict(zip(names, tables, strict=True)))
            assert chosen is not None
            assert sum(chosen.times_chosen.values()) == PARTS
            found.append(chosen.auroc.estimate)
        best.append(
            max(
                auroc(
                    *(table[name].to_numpy() for name in ("probability", "label")), folds=part
                ).estimate
                for table in leaky
            )
        )
    error = np.std(honest) / np.sqrt(len(honest))
    assert abs(np.mean(honest) - 0.5) < 2.5 * error
    for optimistic in (ordinary, best):
        assert np.mean(optimistic) > 0.5 + 2.5 * np.std(optimistic) / np.sqrt(len(optimistic))


def test_the_one_cell_with_signal_is_chosen_and_keeps_its_auroc() -> None:
    random = np.random.default_rng(1)
    labels = random.permutation(np.repeat([1, 0], [20, 40])).astype(np.int8)
    part = (np.arange(PATIENTS) % PARTS).astype(np.int32)
    tables = {
        CellName(f"window {number}", "encoder"): nested_table(
            random.normal(size=(PATIENTS, 2)) + 2.0 * (number == 3) * labels[:, None], labels, part
        )
        for number in range(6)
    }
    chosen = choose(tables)
    assert chosen is not None
    good = CellName("window 3", "encoder")
    assert chosen.times_chosen[good] == PARTS
    own = tables[good]
    scores, truth, parts = (own[name].to_numpy() for name in ("probability", "label", "part"))
    assert chosen.auroc == auroc(scores, truth, folds=parts)
    assert (chosen.patients, chosen.cases) == (PATIENTS, 20)


def test_no_label_of_a_part_reaches_the_choice_for_it() -> None:
    random = np.random.default_rng(2)
    features = random.normal(size=(PATIENTS, 3))
    labels = random.permutation(np.repeat([1, 0], [20, 40])).astype(np.int8)
    part = (np.arange(PATIENTS) % PARTS).astype(np.int32)
    turned = np.where(part == 0, 1 - labels, labels).astype(np.int8)
    first = pl.col("part") == 0
    kept = ("patient_id", "inner_auroc", "probability")
    plain, other = (
        nested_table(features, known, part).filter(first).select(kept) for known in (labels, turned)
    )
    assert plain.equals(other)
    # A table from one cross-validation fails the same question.
    leaky, moved = (
        ordinary_table(features, known, part).filter(first).select("inner_auroc")
        for known in (labels, turned)
    )
    assert not leaky.equals(moved)


def test_a_patient_who_judges_in_one_cell_and_chooses_in_another_is_found_out() -> None:
    random = np.random.default_rng(2)
    labels = random.permutation(np.repeat([1, 0], [20, 40])).astype(np.int8)
    part = (np.arange(PATIENTS) % PARTS).astype(np.int32)
    moved = part.copy()
    moved[0] = (part[0] + 1) % PARTS
    features = random.normal(size=(PATIENTS, 3))
    tables = {
        CellName("one", "encoder"): nested_table(features, labels, part),
        CellName("two", "encoder"): nested_table(features, labels, moved),
    }
    with pytest.raises(LeakError, match="1 patients judge"):
        choose(tables)


def test_parts_are_the_same_in_every_cell_and_of_equal_size() -> None:
    everyone = [f"P{number}" for number in range(103)]
    parts = study_parts(everyone, seed=7)
    assert study_parts(everyone[::-1], seed=7).equals(parts)
    sizes = parts.group_by("part").len()["len"].to_list()
    assert max(sizes) - min(sizes) <= 1
    assert not study_parts(everyone, seed=8).equals(parts)


def test_a_table_of_other_parts_is_told_apart() -> None:
    parts = study_parts(IDS.tolist(), seed=7)
    labels = np.repeat([1, 0], [20, 40]).astype(np.int8)
    table = nested_table(
        np.random.default_rng(0).normal(size=(PATIENTS, 2)), labels, parts["part"].to_numpy()
    )
    assert is_of_parts(table, parts)
    assert is_of_parts(table.clear(), parts)
    assert not is_of_parts(table, study_parts(IDS.tolist(), seed=8))
    assert not is_of_parts(table, study_parts([*IDS.tolist(), "P999"], seed=7))
    assert not is_of_parts(table, parts[1:])


def test_a_real_cell_is_scored_part_by_part() -> None:
    cell = build_cell(cell_tables(signal=3.0), SMALL)
    blocks = cell.blocks.rows(cell.labeled)
    parts = study_parts([*blocks.patient_ids.tolist(), "of another window"], SMALL.seed)
    table = nested_selection(blocks, cell.labels, parts, SMALL, ("learn", "elastic_net"))
    assert table.schema == empty_frame("nested_selection").schema
    assert table["patient_id"].to_list() == sorted(blocks.patient_ids.tolist())
    assert table.join(parts, on=["patient_id", "part"], how="anti").is_empty()
    scores, labels, part = (table[name].to_numpy() for name in ("probability", "label", "part"))
    assert auroc(scores, labels, folds=part).estimate > 0.7
    assert table["inner_auroc"].min() > 0.7


def test_too_few_cases_choose_nothing() -> None:
    labels = np.zeros(PATIENTS, dtype=np.int8)
    labels[:2] = 1
    part = (np.arange(PATIENTS) % PARTS).astype(np.int32)
    table = nested_table(np.ones((PATIENTS, 2)), labels, part)
    assert table.is_empty()
    assert choose({CellName("a", "e"): table, CellName("b", "e"): table}) is None


def predictions(strength: float, cases: int) -> pl.DataFrame:
    random = np.random.default_rng(4)
    labels = np.repeat([1, 0], [cases, PATIENTS - cases]).astype(np.int8)
    return pl.DataFrame(
        {
            "patient_id": IDS,
            "fold": (np.arange(PATIENTS) % PARTS).astype(np.int32),
            "feature_set": "learn",
            "learner": "elastic_net",
            "probability": 1 / (1 + np.exp(-strength * labels - random.normal(size=PATIENTS))),
            "label": labels,
        }
    )


def test_a_board_has_every_cell_then_the_chosen_one_and_no_small_count() -> None:
    random = np.random.default_rng(5)
    cells = [CellName("long", "minilm"), CellName("short", "minilm")]
    judged = {
        cell: performance(predictions(1.0, cases), minimum_cell=11, resamples=20).frame
        for cell, cases in zip(cells, (30, 5), strict=True)
    }
    part = (np.arange(PATIENTS) % PARTS).astype(np.int32)
    labels = random.permutation(np.repeat([1, 0], [20, 40])).astype(np.int8)
    nested = {cell: nested_table(random.normal(size=(PATIENTS, 3)), labels, part) for cell in cells}
    board = leaderboard(
        judged,
        nested,
        {"minilm": cells},
        ("learn", "elastic_net"),
        over="window",
        minimum_cell=11,
    )
    assert board["basis"].to_list() == ["cell", "cell", "chosen"]
    assert board["window"].to_list() == ["long", "short", None]
    assert board["patients"].to_list() == [PATIENTS] * 3
    # Five cases are too few to show.
    assert board["cases"].to_list() == [30, None, 20]
    assert board["times_chosen"].drop_nulls().sum() == PARTS
    assert board["difference"].null_count() == 3
    alone = leaderboard(
        judged,
        nested,
        {"long": cells[:1], "short": cells[1:]},
        ("learn", "elastic_net"),
        over="encoder",
        minimum_cell=11,
    )
    assert alone["basis"].to_list() == ["cell", "cell"]
    assert alone["times_chosen"].null_count() == 2


def test_encoders_are_compared_on_the_same_patients_only() -> None:
    small, large = CellName("long", "small"), CellName("long", "large")
    judged = {small: predictions(0.5, 20), large: predictions(2.0, 20)}
    tables = {
        cell: performance(table, minimum_cell=11, resamples=20).frame
        for cell, table in judged.items()
    }
    groups = {"long": [small, large]}
    board = leaderboard(
        tables, {}, groups, ("learn", "elastic_net"), over="encoder", minimum_cell=11
    )
    # The order of rows must not pair a patient with another.
    shuffled = {**judged, large: judged[large].sample(fraction=1.0, shuffle=True, seed=1)}
    rows = with_differences(board, shuffled, groups)
    assert rows.schema == empty_frame("window_leaderboard").schema
    first, second = (judged[cell] for cell in (small, large))
    expected = auroc_difference(
        *(table["probability"].to_numpy() for table in (second, first)),
        first["label"].to_numpy(),
        first["fold"].to_numpy(),
    )
    assert rows["difference"].to_list() == [None, pytest.approx(expected.estimate)]
    assert rows["difference_lower"][1] == pytest.approx(expected.lower)
    others = {**judged, large: judged[large].with_columns(pl.col("patient_id") + "x")}
    assert with_differences(board, others, groups)["difference"].null_count() == 2
