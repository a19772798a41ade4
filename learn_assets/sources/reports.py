"""What an ingest reports: counts only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IngestReport:
    """Files read for a table, rows seen in them, and how many lines were no rows.

    `rows_of_no_table`: rows of the same files that belong to no table by the study's rules.
    """

    table: str
    files: tuple[str, ...]
    rows_read: int
    rows_malformed: int
    rows_of_no_table: int = 0
