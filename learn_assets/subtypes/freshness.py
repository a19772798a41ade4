"""Freshness: the fingerprint of all that the tables of a subtypes study depend on."""

from __future__ import annotations

import hashlib

from learn_assets.provenance import code_hash
from learn_assets.subtypes.source import discharges_fingerprint
from learn_assets.subtypes.study import SubtypeStudy

_CODE = ("sources", "subtypes", "synthetic", "vocabulary", "schemas")


def discharge_inputs(study: SubtypeStudy) -> str:
    """Return the fingerprint of files, rules and code behind the tables that no sex partitions."""
    rules = (study.pruning, study.descriptions, study.privacy)
    parts = [discharges_fingerprint(study), code_hash(_CODE), *(r.model_dump_json() for r in rules)]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
