"""What an ingest reports: counts only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IngestReport:
    """Files read for a table, rows seen in them, and how many lines were no rows.

    `rows_of_no_table`: rows of the same files that belong to no table by the study's rules.
    `notes`: what is unusual about a file as a whole and was read all the same, without values.
    """

    table: str
    files: tuple[str, ...]
    rows_read: int
    rows_malformed: int
    rows_of_no_table: int = 0
    notes: tuple[str, ...] = ()
