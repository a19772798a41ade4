"""Code lists: the table `code_list`, every list a study refers to, one row a code.

What belongs here: choosing between packaged and study lists and writing codes in one spelling.
Matching records against the lists is SQL's work (model `int_listed_codes`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from learn_assets.schemas.registry import empty_frame
from learn_assets.study import CodeEntry, Study
from learn_assets.validation.code_systems import CODE_SYSTEMS, CodeSystems
from learn_assets.warehouse import project_folder

# (concept ids, with descendants) -> (code_system, code) of every concept.
Resolver = Callable[[tuple[str, ...], bool], list[tuple[str, str]]]
Row = tuple[str, str, str, str]

# Lists of the comorbidity index, which every study needs and no rule names.
CHARLSON_PREFIX = "charlson_"
_OMOP = "OMOP"
# Systems whose codes are, or may be, whole numbers.
_NUMBERED = ("CPT", "HCPCS", "NDC", "RxNorm", "SNOMED")


class UnknownCodeListError(ValueError):
    """A rule of the study refers to a code list that nobody has defined."""


def packaged_code_lists() -> dict[str, tuple[CodeEntry, ...]]:
    """Return the packaged lists by name, read from the seed of the dbt project."""
    seed = pl.read_csv(_seed_path(), infer_schema=False, glob=False)
    lists: dict[str, list[CodeEntry]] = {}
    grouped = seed.group_by("list", "code_system", "match", maintain_order=True).agg("code")
    for name, code_system, match, codes in grouped.iter_rows():
        entry = CodeEntry(code_system=code_system, codes=tuple(codes), match=match)
        lists.setdefault(name, []).append(entry)
    return {name: tuple(entries) for name, entries in lists.items()}


def resolve_code_lists(
    study: Study,
    resolve: Resolver | None = None,
    of_source: frozenset[str] | None = None,
) -> pl.DataFrame:
    """Return the table `code_list` of a study: list, code_system, code, match.

    It holds the lists that rules name and those of the Charlson index. A study's list replaces the
    packaged one of its name. Codes are upper case, ICD codes without dot and, unless the list says
    otherwise, with every code below them. `resolve` turns OMOP concept ids into codes of the
    records; each then matches exactly. `of_source`: the code systems that records of the source can
    have; None: those that a study accepts.
    UnknownCodeListError when a rule names a list that does not exist; ValueError for a code system
    that no record of the study can have, for OMOP concepts without `resolve`, and when none of a
    list's concepts is in the vocabulary.
    """
    known = {**packaged_code_lists(), **study.code_lists}
    unknown = sorted(set(study.referenced_code_lists) - set(known))
    if unknown:
        raise UnknownCodeListError(
            f"no code list {', '.join(unknown)}; write it under `code_lists` or use one of: "
            f"{', '.join(sorted(known))}"
        )
    systems = CodeSystems.of(study)
    if of_source is not None:
        for name in study.referenced_code_lists:
            _demand_known_systems(name, known[name], systems, of_source, name in study.code_lists)
    comorbidity = (name for name in known if name.startswith(CHARLSON_PREFIX))
    rows = [
        row
        for name in sorted({*study.referenced_code_lists, *comorbidity})
        for row in _rows(name, known[name], systems, resolve)
    ]
    frame = pl.DataFrame(rows, schema=empty_frame("code_list").schema, orient="row")
    return frame.unique().sort(pl.all())


def comparable_code(code_system: str, code: str) -> str:
    """Return a code as models compare it (macro `comparable_code`).

    Upper case; ICD without dot, services without modifiers, numbers without the `.0` of a float,
    drug codes with their leading zeros.
    """
    text = code.strip().upper()
    if code_system.startswith("ICD-"):
        return text.replace(".", "")
    if code_system in _NUMBERED:
        text = re.sub(r"^([0-9]+)\.0+$", r"\1", text)
    if code_system in ("CPT", "HCPCS"):
        return re.sub(r"^([0-9A-Z]{5})(?:[-: ,][0-9A-Z]{2})+$", r"\1", text)
    lost_zeros = code_system == "NDC" and re.fullmatch(r"[0-9]{7,9}", text)
    return text.zfill(11) if lost_zeros else text


def _rows(
    name: str, entries: tuple[CodeEntry, ...], systems: CodeSystems, resolve: Resolver | None
) -> Iterator[Row]:
    for entry in entries:
        if entry.code_system == _OMOP:
            for code_system, code in _concepts(name, entry, resolve):
                yield name, code_system, comparable_code(code_system, code), "exact"
            continue
        code_system = _code_system(name, entry, systems)
        # Only ICD codes say by their first characters where they belong.
        match = entry.match or ("prefix" if code_system.startswith("ICD-") else "exact")
        for code in entry.codes:
            yield name, code_system, comparable_code(code_system, code), match


def _code_system(name: str, entry: CodeEntry, systems: CodeSystems) -> str:
    # Under another spelling a list would match no record, and nobody would notice.
    accepted = systems.normalize(entry.code_system)
    if accepted is None:
        raise ValueError(
            f"code list `{name}`: unknown code system {entry.code_system!r}; write one of "
            f"{', '.join(CODE_SYSTEMS)}, or add it to `vocabulary.extra_code_systems`"
        )
    return accepted


def _demand_known_systems(
    name: str,
    entries: tuple[CodeEntry, ...],
    systems: CodeSystems,
    of_source: frozenset[str],
    of_study: bool,
) -> None:
    """Raise ValueError when a list names systems that no record of the source can have.

    A packaged list is written for every source, so one of its systems is enough.
    """
    named = {systems.normalize(entry.code_system) or entry.code_system for entry in entries}
    known = {systems.normalize(system) or system for system in of_source}
    unknown = sorted(named - known - {_OMOP})
    if unknown and (of_study or len(unknown) == len(named)):
        raise ValueError(
            f"code list `{name}`: no record of the source has the code system "
            f"{', '.join(unknown)}; it has {', '.join(sorted(known))}"
        )


def _concepts(name: str, entry: CodeEntry, resolve: Resolver | None) -> list[tuple[str, str]]:
    if resolve is None:
        raise ValueError(
            f"code list `{name}`: OMOP concept ids need an OMOP source with its vocabulary tables"
        )
    concepts = resolve(entry.codes, entry.include_descendants)
    if not concepts:
        raise ValueError(
            f"code list `{name}`: none of its {len(entry.codes)} concept ids is in table `concept`"
        )
    return concepts


def _seed_path() -> Path:
    return project_folder() / "seeds" / "packaged_code_list.csv"
