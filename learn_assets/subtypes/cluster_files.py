"""Cluster files: tables, figures and the page of the clusters as files in the lake.

What belongs here: which files there are and how they reach their folders.
"""

from __future__ import annotations

import polars as pl

from learn_assets.lake import Lake
from learn_assets.reporting.figures import SvgFigure
from learn_assets.study.subtypes import SubtypeStudy
from learn_assets.subtypes.cluster_results import collect_clusters
from learn_assets.subtypes.cluster_tables import cluster_publication_tables
from learn_assets.subtypes.manuscript import put_files
from learn_assets.subtypes.map_files import cluster_figures
from learn_assets.subtypes.page import render_page
from learn_assets.subtypes.publication import as_csv, as_word

TABLES_FOLDER, FIGURES_FOLDER, PAGE_FOLDER = "subtype_tables", "subtype_figures", "subtype_page"
PAGE_FILE = "subtypes.html"


def write_cluster_tables(study: SubtypeStudy, lake: Lake) -> pl.DataFrame:
    """Write every table of the clusters (CSV, Word); return file, title and sha256 of each."""
    files = {}
    for table in cluster_publication_tables(collect_clusters(study, lake)):
        files[f"{table.name}.csv"] = (table.title, as_csv(table))
        files[f"{table.name}.docx"] = (table.title, as_word(table))
    return put_files(lake, TABLES_FOLDER, files)


def write_cluster_figures(
    study: SubtypeStudy, lake: Lake
) -> tuple[pl.DataFrame, dict[str, SvgFigure]]:
    """Write every figure of the clusters (SVG); return the same of each, and the figures."""
    figures = cluster_figures(study, lake)
    files = {f"{name}.svg": (one.title, one.document().encode()) for name, one in figures.items()}
    return put_files(lake, FIGURES_FOLDER, files), figures


def write_subtype_page(study: SubtypeStudy, lake: Lake) -> pl.DataFrame:
    """Write the page of the study, from the other files and tables; return the same of it."""
    content = render_page(study, lake).encode()
    return put_files(lake, PAGE_FOLDER, {PAGE_FILE: (study.title, content)})
