"""Concepts: how a study's code lists find the codes of OMOP concept ids in its own source."""

from __future__ import annotations

from collections.abc import Callable

from learn_assets.lake import Lake
from learn_assets.sources.omop import resolve_concepts
from learn_assets.sources.resolve import resolve_source
from learn_assets.study import OmopSource, Study


def concept_resolver(
    study: Study, lake: Lake
) -> Callable[[tuple[str, ...], bool], list[tuple[str, str]]] | None:
    """Return the function that turns concept ids into codes; None when the source is not OMOP."""
    source = resolve_source(study, lake)
    if not isinstance(source, OmopSource):
        return None

    def resolve(concept_ids: tuple[str, ...], include_descendants: bool) -> list[tuple[str, str]]:
        return list(resolve_concepts(source, concept_ids, include_descendants=include_descendants))

    return resolve
