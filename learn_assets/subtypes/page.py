"""Page: one self-contained HTML file with the subtypes, from what disclosure control has passed.

What belongs here: which tables and figures stand where, and the words around them. The markup is in
`templates/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from learn_assets.disclosure import shown
from learn_assets.lake import Lake
from learn_assets.study.clusters import ClusterOptions
from learn_assets.study.subtypes import SubtypeStudy
from learn_assets.subtypes import cluster_tables
from learn_assets.subtypes.cluster_results import SexClusters, SubtypeResults, collect_clusters
from learn_assets.subtypes.manuscript import FOLDER, SOURCES, read_files
from learn_assets.subtypes.publication import PublicationTable
from learn_assets.subtypes.tables import publication_tables

_TEMPLATES = Path(__file__).parent / "templates"
_POOLINGS = {
    "mean": "vector of an admission less the mean of all, at length 1",
    "length_invariant": "vector of an admission less the mean of those with as many diagnoses, at "
    "length 1",
}


@dataclass(frozen=True)
class PageFigure:
    """A figure as the page holds it."""

    svg: str
    title: str


@dataclass(frozen=True)
class SexView:
    """One sex as the template shows it; `found` says in a few words what the verdict is."""

    word: str
    anchor: str
    admissions: str
    found: str
    verdict: str
    published: str
    audit: str
    subtypes: PublicationTable
    codes: PublicationTable
    figures: tuple[PageFigure, ...]


def render_page(study: SubtypeStudy, lake: Lake) -> str:
    """Return the page as HTML text; the same lake gives the same bytes.

    AlteredFileError when a figure is not as it was written, MissingTableError when a table is not
    in the lake.
    """
    results = collect_clusters(study, lake)
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = _figures(lake, "subtype_figures")
    tables = {name: lake.read(name) for name in SOURCES}
    return environment.get_template("subtypes.html").render(
        study=study,
        sexes=[_sex_view(one, figures) for one in results.sexes],
        both=_chosen(figures, ["map_pca_both", "map_umap_both"]),
        match=cluster_tables.match_table(results),
        evidence=_evidence(results),
        number=cluster_tables.evidence_table(results.sexes),
        by_sex=publication_tables(tables, results.minimum_cell),
        discharge_figures=list(_figures(lake, FOLDER).values()),
        facts=_facts(study.clusters),
        minimum_cell=results.minimum_cell,
        style=(_TEMPLATES / "subtypes.css").read_text(encoding="utf-8"),
    )


def _evidence(results: SubtypeResults) -> tuple[PublicationTable, ...]:
    return (
        cluster_tables.audit_table(results.sexes),
        cluster_tables.validation_table(results.sexes, results.minimum_cell),
        cluster_tables.replication_table(results.sexes, results.minimum_cell),
    )


def _sex_view(one: SexClusters, figures: dict[str, PageFigure]) -> SexView:
    names = [
        f"{kind}_{one.word}" for kind in ("codes", "number_of_clusters", "map_pca", "map_umap")
    ]
    return SexView(
        word=one.word,
        anchor=f"subtypes-{one.word}",
        admissions=shown(one.admissions.height, one.minimum_cell).text,
        found=f"{len(one.clusters)} subtypes" if one.structure else "No structure",
        verdict=str(one.verdict["verdict"]),
        published=str(
            one.verdict["published_verdict"] or "The published rule needs more admissions."
        ),
        audit=_audit_words(one),
        subtypes=cluster_tables.subtypes_table(one, one.minimum_cell),
        codes=cluster_tables.codes_table(one, one.minimum_cell),
        figures=_chosen(figures, names),
    )


def _audit_words(one: SexClusters) -> str:
    row = one.audit.row(by_predicate=pl.col("blocking"), named=True)
    published = one.audit.filter(
        (pl.col("representation") == "published_texts_and_number")
        & (pl.col("nuisance") == row["nuisance"])
    )
    beside = (
        ""
        if published.is_empty()
        else f" The published texts in {published['clusters'][0]} clusters share "
        f"{published['adjusted_mutual_information'][0]:.2f}."
    )
    shared = max(0.0, row["adjusted_mutual_information"])
    return (
        f"Clusters share {shared:.2f} of information with the number of diagnoses "
        f"(refused from {row['maximum']:.2f} on).{beside}"
    )


def _figures(lake: Lake, folder: str) -> dict[str, PageFigure]:
    return {
        Path(name).stem: PageFigure(content.decode(), title)
        for name, (title, content) in read_files(lake, folder).items()
        if name.endswith(".svg")
    }


def _chosen(figures: dict[str, PageFigure], names: Sequence[str]) -> tuple[PageFigure, ...]:
    return tuple(figures[name] for name in names if name in figures)


def _facts(options: ClusterOptions) -> tuple[tuple[str, str], ...]:
    prepared = f"{_POOLINGS[options.pooling]}; {options.dimensions} dimensions"
    representation = {
        "description": f"Descriptions of the codes through {options.encoder.id}, frozen; the "
        f"principal diagnosis counts {options.principal_weight:g} times; {prepared}",
        "language_model": f"Texts of the admissions through the study's language model; {prepared}",
        "tfidf": f"TF-IDF of the codes, {options.dimensions} dimensions by SVD",
    }[options.representation]
    return (
        ("Vectors", representation),
        ("Algorithm", f"{options.clusterer.replace('_', ' ')}, {options.starts} starts"),
        ("Counts tried", f"{options.smallest_count} to {options.largest_count}"),
        (
            "Stability",
            f"{options.resamples} resamples of {100 * options.smallest_share:.0f} to "
            f"{100 * options.largest_share:.0f} %, whole patients where linked",
        ),
        ("Codes at random", f"{options.null_files} files, significance {options.significance:g}"),
        ("Count used", "that of the verdict" if options.selection == "recommended" else
         "that of the published rule"),
        ("Replication", f"fitted on {options.training_years[0]} to {options.training_years[1]}"),
        ("Seed", str(options.seed)),
    )  # fmt: skip
