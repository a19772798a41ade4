"""Question and setup: what the study asks and chose, with its code lists, and its limits."""

from __future__ import annotations

import polars as pl

from learn_assets.reporting.context import StudyContext, not_made
from learn_assets.reporting.document import (
    Block,
    Bullets,
    Column,
    Facts,
    NamedValue,
    Paragraph,
    Section,
    Table,
    absent,
)
from learn_assets.reporting.labels import in_words
from learn_assets.reporting.setup import limits, question, setup_facts, window_in_words
from learn_assets.reporting.values import number, words

_SHOWN_CODES = 12


def question_and_setup(context: StudyContext) -> Section:
    """Return the question, the choices that decide the results, windows and code lists."""
    study = context.study
    facts = tuple(NamedValue(fact.name, words(fact.value)) for fact in setup_facts(study))
    windows = Bullets(
        "windows", tuple(f"{window.key}: {window_in_words(window)}" for window in study.windows)
    )
    blocks: list[Block] = [
        Paragraph(question(study), tone="lead", key="question"),
        Facts("setup", facts),
        windows,
        _code_lists(context),
    ]
    return Section("setup", "Question and setup", tuple(blocks))


def what_it_cannot_say(context: StudyContext) -> Section:
    """Return the limits of these results, most serious first."""
    items = Bullets("limits", limits(context.study))
    return Section("limits", "What this page cannot say", (items,))


def _code_lists(context: StudyContext) -> Block:
    table = context.table("code_list")
    if table is None or table.is_empty():
        return absent("Code lists", not_made("code_list"))
    named = context.study.referenced_code_lists
    used = table.filter(pl.col("list").is_in(named)).sort("list", "code_system", "code")
    rows = []
    for (name, system), codes in used.group_by("list", "code_system", maintain_order=True):
        listed = [
            f"{code}*" if match == "prefix" else code
            for code, match in codes.select("code", "match").iter_rows()
        ]
        more = len(listed) - _SHOWN_CODES
        text = ", ".join(listed[:_SHOWN_CODES]) + (f" and {more} more" if more > 0 else "")
        rows.append((words(in_words(str(name))), words(str(system)), number(len(listed), 0),
                     words(text)))  # fmt: skip
    return Table(
        "code_lists",
        "Code lists that the rules use (*: and every code below)",
        (
            Column("list", "List", numeric=False),
            Column("code_system", "Code system", numeric=False),
            Column("size", "Codes"),
            Column("codes", "Which", numeric=False),
        ),
        tuple(rows),
        grouped=True,
        folded=True,
    )
