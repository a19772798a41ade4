"""The section about models in force: every decision, and nothing of an altered history."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from learn_assets.analyses.champion.section import champion
from learn_assets.lake import Lake
from learn_assets.modeling.bundle import bundle_digest
from learn_assets.modeling.champion import ChampionHistory
from learn_assets.modeling.lake_cell import champion_history
from learn_assets.reporting.context import CellContext
from learn_assets.reporting.document import Facts, Paragraph, Table
from learn_assets.study import Study
from learn_assets_tests.modeling.site import site_bundles

PREDICTIONS = pl.DataFrame(
    {
        "patient_id": ["P1", "P2"],
        "fold": pl.Series([0, 1], dtype=pl.Int32),
        "feature_set": ["count", "count"],
        "learner": ["elastic_net", "elastic_net"],
        "probability": [0.2, 0.7],
        "label": pl.Series([0, 1], dtype=pl.Int8),
    }
)
REFUSED = "worse by more than the margin of 0.02: AUROC of learn/elastic_net -0.0400"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return site_bundles(tmp_path_factory.mktemp("bundles"), "elastic_net")


@pytest.fixture
def cell(report_study: Study, lake: Lake) -> CellContext:
    return CellContext(report_study, lake, report_study.windows[0], report_study.encoders[0])


@pytest.fixture
def history(cell: CellContext, bundles: list[Path]) -> ChampionHistory:
    """First models, a refused challenger, a promoted one, and a person who takes it back."""
    first, refused, second = bundles
    own = champion_history(cell.lake, cell.window, cell.encoder)
    own.promote(first, PREDICTIONS, "the first models of this cell")
    own.keep(bundle_digest(refused), REFUSED)
    own.promote(second, PREDICTIONS, "not shown to be worse")
    own.roll_back()
    return own


def facts(cell: CellContext) -> dict[str, str]:
    (block,) = [block for block in champion(cell).blocks if isinstance(block, Facts)]
    return {item.name: item.value.text for item in block.items}


def decisions(cell: CellContext) -> list[dict[str, str]]:
    (table,) = [block for block in champion(cell).blocks if isinstance(block, Table)]
    keys = [column.key for column in table.columns]
    return [dict(zip(keys, (value.text for value in row), strict=True)) for row in table.rows]


def test_promotion_refusal_and_roll_back_are_told_in_their_order(
    cell: CellContext, history: ChampionHistory, bundles: list[Path]
) -> None:
    first, refused, second = (bundle_digest(folder)[:12] for folder in bundles)
    told = decisions(cell)
    assert [(row["judged"], row["in_force"]) for row in told] == [
        (first, first),
        (refused, first),
        (second, second),
        (second, first),
    ]
    assert [row["action"].split(":")[0] for row in told] == [
        *("put in force", "refused", "put in force", "rolled back"),
    ]
    assert told[1]["why"] == REFUSED
    # A day and a time, without the zone that the column names.
    assert all(len(row["decided_at"]) == len("2026-01-01 12:00:00") for row in told)


def test_what_is_in_force_by_what_rule_and_what_is_withdrawn(
    cell: CellContext, history: ChampionHistory, bundles: list[Path]
) -> None:
    first, _, second = (bundle_digest(folder)[:12] for folder in bundles)
    found = facts(cell)
    assert found["In force"] == first
    assert found["Withdrawn"] == second
    assert found["Compared by"] == "LEARN (counts + embeddings) with elastic net"
    assert found["AUROC a challenger may lose"] == "0.020"
    history.promote(bundles[2], PREDICTIONS, "a person put it in force again")
    assert facts(cell)["In force"] == second
    assert facts(cell)["Withdrawn"] == "none"


def test_an_altered_history_is_not_shown(cell: CellContext, history: ChampionHistory) -> None:
    path = cell.lake.folder("champion", cell.window, cell.encoder.id) / "history.json"
    path.write_text(path.read_text().replace("not shown to be worse", "better"))
    (block,) = champion(cell).blocks
    assert isinstance(block, Paragraph)
    assert block.tone == "absent"
    assert "its history cannot be trusted" in block.text


def test_a_cell_without_models_in_force_says_so(cell: CellContext) -> None:
    (block,) = champion(cell).blocks
    assert isinstance(block, Paragraph)
    assert "champion has not been materialized" in block.text
