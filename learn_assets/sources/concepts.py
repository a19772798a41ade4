"""Concepts: what a study's code lists may name: concept ids and code systems of its own source."""

from __future__ import annotations

from collections.abc import Callable

from learn_assets.lake import Lake
from learn_assets.sources.meds_codes import PACKAGED_RULES
from learn_assets.sources.omop import resolve_concepts, vocabularies
from learn_assets.sources.resolve import resolve_source
from learn_assets.study import MedsSource, OmopSource, Study


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


def code_systems_of_source(study: Study, lake: Lake) -> frozenset[str] | None:
    """Return the code systems that records of a source can have; None: those of every study."""
    source = resolve_source(study, lake)
    if isinstance(source, OmopSource):
        return vocabularies(source)
    if isinstance(source, MedsSource):
        rules = (*source.codes, *PACKAGED_RULES)
        return frozenset(rule.code_system for rule in rules if rule.code_system)
    return None
