"""Champion of a cell: which models are in force, and the decisions that led to it."""

from __future__ import annotations

from collections.abc import Iterable

from learn_assets.modeling.champion import ChampionError
from learn_assets.modeling.lake_cell import champion_history
from learn_assets.reporting.comparison_words import model_label
from learn_assets.reporting.context import CellContext, not_made
from learn_assets.reporting.document import Column, Facts, NamedValue, Section, Table
from learn_assets.reporting.labels import in_words
from learn_assets.reporting.places import CellSection
from learn_assets.reporting.values import number, words

_TITLE = "Models in force"
_DIGITS = 12
_ACTIONS = {
    "promoted": "put in force",
    "kept": "refused: the champion stays",
    "rolled_back": "rolled back: withdrawn by a person",
}


def champion(cell: CellContext) -> Section:
    """Return the champion, by what it is compared, and its history."""
    try:
        own = champion_history(cell.lake, cell.window, cell.encoder)
        entries, withdrawn = own.entries(), own.withdrawn()
    except ChampionError as error:
        return cell.without("champion", _TITLE, f"its history cannot be trusted: {error}")
    if not entries:
        return cell.without("champion", _TITLE, not_made("champion"))
    rule = cell.study.champion
    facts = (
        NamedValue("In force", words(entries[-1].champion[:_DIGITS])),
        NamedValue("Compared by", words(model_label(cell.reference))),
        NamedValue("AUROC a challenger may lose", number(rule.margin, 3)),
        NamedValue("Withdrawn", words(_shortened(withdrawn) or "none")),
    )
    history = Table(
        "champion_history",
        "Decisions about the models in force, newest last",
        (
            Column("decided_at", "Decided (UTC)", numeric=False),
            Column("judged", "Judged", numeric=False),
            Column("action", "Decision", numeric=False),
            Column("in_force", "In force after it", numeric=False),
            Column("why", "Why", numeric=False),
        ),
        tuple(
            (
                words(entry.decided_at.removesuffix("+00:00").replace("T", " ")),
                words(entry.challenger[:_DIGITS]),
                words(_ACTIONS.get(entry.action, in_words(entry.action))),
                words(entry.champion[:_DIGITS]),
                words(entry.reason),
            )
            for entry in entries
        ),
        note="Models are named by the first digits of their sha256. A challenger is judged on "
        "the patients that judge the champion; differences: challenger minus champion, 95 % "
        "intervals.",
    )
    return cell.section("champion", _TITLE, Facts("champion", facts), history)


def _shortened(digests: Iterable[str]) -> str:
    return ", ".join(sorted(digest[:_DIGITS] for digest in digests))


SECTION = CellSection(110, champion)
