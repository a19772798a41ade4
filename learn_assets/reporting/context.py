"""Context: what a section of the report is made from - a study, its lake, and one place in it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from learn_assets.evaluation.comparison import ModelName
from learn_assets.lake import Lake
from learn_assets.modeling.challenge import ChallengeRule
from learn_assets.reporting.document import Block, Paragraph, Section, absent
from learn_assets.reporting.estimates import stored_table
from learn_assets.study import EncoderChoice, Study
from learn_assets.study.windows import Window


@dataclass(frozen=True)
class StudyContext:
    """A study and its lake."""

    study: Study
    lake: Lake

    @property
    def minimum_cell(self) -> int:
        """The smallest count that may be shown."""
        return self.study.privacy.minimum_cell

    @property
    def reference(self) -> ModelName:
        """The model that a study is judged by: the one that its champion is compared by."""
        rule = ChallengeRule.from_study(self.study)
        return ModelName(rule.feature_set, rule.learner)

    def table(self, name: str) -> pl.DataFrame | None:
        """Return an unpartitioned table, None when it has not been written."""
        return stored_table(self.lake, name)


@dataclass(frozen=True)
class WindowContext(StudyContext):
    """One window of the study."""

    window: Window

    @property
    def anchor(self) -> str:
        """Return the id of the window's section."""
        return anchor_of(self.window.key)

    def of_window(self, name: str) -> pl.DataFrame | None:
        """Return a table of the window, None when it has not been written."""
        return stored_table(self.lake, name, self.window)


@dataclass(frozen=True)
class CellContext(WindowContext):
    """One encoder in a window."""

    encoder: EncoderChoice

    @property
    def anchor(self) -> str:
        """Return the id of the cell's section."""
        return anchor_of(self.window.key, self.encoder.id)

    def of_cell(self, name: str) -> pl.DataFrame | None:
        """Return a table of the cell, None when it has not been written."""
        return stored_table(self.lake, name, self.window, self.encoder.id)

    def section(self, key: str, title: str, *blocks: Block | None) -> Section:
        """Return a section of the cell from the blocks that there are."""
        return Section(
            f"{self.anchor}-{key}", title, tuple(block for block in blocks if block is not None)
        )

    def without(self, key: str, title: str, why: str) -> Section:
        """Return a section of one line that says why nothing is shown."""
        return self.section(key, title, absent(title, why))


def not_made(table: str) -> str:
    """Return why a table's content is not shown: nobody has made it."""
    return f"table {table} has not been materialized"


def note_of_reasons(frame: pl.DataFrame) -> str:
    """Return why some estimates of a table are empty, as one sentence; empty when none is."""
    reasons = frame.filter(pl.col("estimate").is_null())["reason"].drop_nulls().unique().sort()
    return f"Where nothing is shown: {'; '.join(reasons)}." if len(reasons) else ""


def quiet(text: str) -> Paragraph | None:
    """Return a remark below a table, None when there is nothing to say."""
    return Paragraph(text, tone="quiet") if text else None


def anchor_of(*parts: str) -> str:
    """Return an id for what these names stand for."""
    return "-".join(parts).lower().replace("_", "-").replace(".", "-").replace(" ", "-")
