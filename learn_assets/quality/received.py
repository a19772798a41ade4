"""Received: which shares of the rows that a site sent were refused, and for what.

What belongs here: measures of the quarantine. A row has the first reason that holds, so a share is
the least it can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

from learn_assets.disclosure import shown_parts
from learn_assets.lake import Lake
from learn_assets.quality.counting import records_by
from learn_assets.quality.measure import Measure, share
from learn_assets.study.expectations import EVENT_TABLES
from learn_assets.validation.reasons import Reason

_OF_EVENTS: Mapping[str, tuple[Reason, ...]] = MappingProxyType(
    {
        "malformed_rows": (
            Reason.WRONG_COLUMN_COUNT,
            Reason.BAD_ENCODING,
            Reason.UNBALANCED_QUOTE,
        ),
        "unreadable_dates": (Reason.UNREADABLE_DATE, Reason.IMPOSSIBLE_DATE),
        "unknown_code_systems": (Reason.UNKNOWN_CODE_SYSTEM,),
        "unknown_patients": (Reason.UNKNOWN_PATIENT,),
        "missing_keys": (
            Reason.MISSING_PATIENT_ID,
            Reason.MISSING_CODE,
            Reason.MISSING_DATE,
            Reason.PLACEHOLDER_DATE,
        ),
        "future_dates": (Reason.FUTURE_DATE,),
        "before_birth": (Reason.BEFORE_BIRTH,),
        "after_death": (Reason.AFTER_DEATH,),
        "duplicate_rows": (Reason.DUPLICATE_ROW,),
    }
)
_OF_PATIENTS: Mapping[str, tuple[Reason, ...]] = MappingProxyType(
    {
        "impossible_life_dates": (Reason.FUTURE_DATE, Reason.BEFORE_BIRTH),
        "repeated_rows": (Reason.DUPLICATE_ROW, Reason.CONFLICTING_ROW),
    }
)


def accepted_share(name: str, accepted_loss: Mapping[str, float]) -> float:
    """Return the share of rows that a study accepts to lose for the reasons of an expectation.

    0 for an expectation that counts no refused rows. accepted_loss: shares by table and reason.
    """
    table, _, key = name.partition(".")
    reasons = (_OF_PATIENTS if table == "patient" else _OF_EVENTS).get(key, ())
    return sum(accepted_loss.get(f"{table}.{reason}", 0.0) for reason in reasons)


def received_measures(lake: Lake, minimum_cell: int) -> dict[str, Measure]:
    """Return the refused shares of every table, by name of the expectation."""
    found = _of_table(lake, "patient", _OF_PATIENTS, minimum_cell)
    for table in EVENT_TABLES:
        found |= _of_table(lake, table, _OF_EVENTS, minimum_cell)
    return found


def _of_table(
    lake: Lake, table: str, groups: Mapping[str, tuple[Reason, ...]], minimum_cell: int
) -> dict[str, Measure]:
    refused = records_by(lake, f"{table}_quarantine", "reason").sort("reason")
    reasons = {str(reason): int(rows) for reason, rows in refused.iter_rows()}
    kept = lake.scan(table).select(pl.len()).collect().item()
    received = kept + sum(reasons.values())
    parts = {key: sum(reasons.pop(reason, 0) for reason in of) for key, of in groups.items()}
    # Rows kept and a share tell rows refused: no reason may be the remainder of those.
    told = shown_parts([*parts.values(), *reasons.values()], minimum_cell)
    return {
        f"{table}.{key}": share(rows, received, least=minimum_cell, hidden=shown.value is None)
        for (key, rows), shown in zip(parts.items(), told, strict=False)
    }
