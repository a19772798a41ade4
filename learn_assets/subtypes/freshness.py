"""Freshness: the fingerprints of all that the tables of a subtypes study depend on, by stage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from learn_assets.lake import Lake
from learn_assets.provenance import code_hash, encoder_revision, fingerprints
from learn_assets.subtypes.source import discharges_fingerprint
from learn_assets.subtypes.study import SEXES, Sex, SubtypeStudy

_CODE = ("sources", "subtypes", "synthetic", "vocabulary", "schemas")
_CLUSTER_CODE = ("subtypes", "embedding", "schemas")
_RESULT_CODE = ("subtypes", "reporting", "schemas")

DISCHARGE_SOURCES = ("discharges", "diagnosis_description")
CLUSTER_TABLES = (
    "discharge_embeddings",
    "embedding_directions",
    "cluster_selection",
    "cluster_verdict",
    "subtypes",
    "nuisance_audit",
    "disease_weights",
    "subtype_validation",
    "subtype_replication",
)


def discharge_inputs(study: SubtypeStudy) -> str:
    """Return the fingerprint of files, rules and code behind the tables that no sex partitions."""
    rules = (study.pruning, study.descriptions, study.privacy)
    return _digest(
        [discharges_fingerprint(study), code_hash(_CODE), *(r.model_dump_json() for r in rules)]
    )


def cluster_inputs(study: SubtypeStudy, lake: Lake, sex: Sex) -> str:
    """Return the fingerprint of tables, options and code behind the clusters of one sex."""
    # Where an encoder runs may change without making its vectors stale.
    options = study.clusters.model_dump_json(exclude={"encoder": {"ray", "server"}})
    return _digest(
        [
            sex,
            options,
            study.privacy.model_dump_json(),
            encoder_revision(study.clusters.encoder),
            code_hash(_CLUSTER_CODE),
            *fingerprints(lake, DISCHARGE_SOURCES).values(),
        ]
    )


def result_inputs(study: SubtypeStudy, lake: Lake) -> str:
    """Return the fingerprint of both sexes' clusters and of all that is shown of them."""
    told = (study.title, str(study.synthetic), study.privacy.model_dump_json())
    tables = [fingerprints(lake, CLUSTER_TABLES, sex) for sex in SEXES]
    return _digest(
        [
            *told,
            study.clusters.model_dump_json(),
            code_hash(_RESULT_CODE),
            *fingerprints(lake, DISCHARGE_SOURCES).values(),
            *(fingerprint for found in tables for fingerprint in found.values()),
        ]
    )


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
