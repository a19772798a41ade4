"""Freshness: the fingerprint of all that the leaderboards and the report of a study depend on."""

from __future__ import annotations

from collections.abc import Iterator

from learn_assets.digests import digest_of
from learn_assets.lake import Lake
from learn_assets.modeling.champion import ChampionError
from learn_assets.modeling.lake_cell import champion_history
from learn_assets.reporting.sections.provenance import (
    installed_packages,
    report_code,
    study_document,
)
from learn_assets.study import Study
from learn_assets.warehouse import project_fingerprint

# Made by the stage itself.
_RESULTS = ("window_leaderboard", "encoder_leaderboard")
_STAMP = ".stamp.json"


def result_inputs(study: Study, lake: Lake) -> str:
    """Return the fingerprint of all that a report shows.

    A section may show any table, so every table of the study counts, and every decision about the
    models in force; so do packages, since the report names them.
    """
    parts = [
        study_document(study),
        report_code(),
        project_fingerprint(),
        *(f"{name} {number}" for name, number in installed_packages()),
        *_tables(study, lake),
        *_decisions(study, lake),
    ]
    return digest_of(parts)


def _tables(study: Study, lake: Lake) -> Iterator[str]:
    """Yield the stamp of every table, with its place."""
    folders = [lake.path("any").parent]
    for window in study.windows:
        folders.append(lake.path("any", window).parent)
        folders += [lake.path("any", window, encoder.id).parent for encoder in study.encoders]
    for folder in folders:
        for path in sorted(folder.glob(f"*{_STAMP}")):
            if path.name.removesuffix(_STAMP) not in _RESULTS:
                yield f"{path.relative_to(lake.root)} {path.read_text(encoding='utf-8')}"


def _decisions(study: Study, lake: Lake) -> Iterator[str]:
    for window in study.windows:
        for encoder in study.encoders:
            # An altered history is shown as such.
            try:
                yield repr(champion_history(lake, window, encoder).entries())
            except ChampionError as error:
                yield str(error)
