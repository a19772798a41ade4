"""Freshness: the fingerprints of all that the tables of a subtypes study depend on, by stage."""

from __future__ import annotations

from learn_assets.code_closure import code_digest
from learn_assets.digests import digest_of
from learn_assets.embedding.model_folder import ModelFolderError, revision_of
from learn_assets.lake import Lake
from learn_assets.provenance import encoder_revision, fingerprints
from learn_assets.schemas.registry import SUBTYPE_CLUSTERS, made_in
from learn_assets.study.language_model import LanguageModelOptions
from learn_assets.study.subtypes import SEXES, Sex, SubtypeStudy
from learn_assets.subtypes.source import discharges_fingerprint

# The modules that make the tables of a stage; `code_closure` finds what they run through.
DATA_CODE = ("defs.subtypes",)
LANGUAGE_CODE = ("defs.language",)
CLUSTER_CODE = ("defs.subtype_clusters",)
RESULT_CODE = ("defs.subtype_results",)

DISCHARGE_SOURCES = ("discharges", "diagnosis_description")


def discharge_inputs(study: SubtypeStudy) -> str:
    """Return the fingerprint of files, rules and code behind the tables that no sex partitions."""
    rules = (study.pruning, study.descriptions, study.privacy)
    accepted = sorted(f"{name} {share}" for name, share in study.accepted_loss.items())
    code = code_digest(*DATA_CODE, shown=True)
    return digest_of(
        [discharges_fingerprint(study), code, *(r.model_dump_json() for r in rules), *accepted]
    )


def cluster_inputs(study: SubtypeStudy, lake: Lake, sex: Sex) -> str:
    """Return the fingerprint of tables, options and code behind the clusters of one sex."""
    # Where an encoder runs may change without making its vectors stale.
    options = study.clusters.model_dump_json(exclude={"encoder": {"ray", "server"}})
    return digest_of(
        [
            sex,
            options,
            study.privacy.model_dump_json(),
            encoder_revision(study.clusters.encoder),
            code_digest(*CLUSTER_CODE),
            *fingerprints(lake, vector_sources(study), sex).values(),
        ]
    )


def vector_sources(study: SubtypeStudy) -> tuple[str, ...]:
    """Return the tables that vectors of admissions are made from."""
    model = ("text_embeddings",) if study.clusters.representation == "language_model" else ()
    return (*DISCHARGE_SOURCES, *model)


def result_inputs(study: SubtypeStudy, lake: Lake) -> str:
    """Return the fingerprint of both sexes' clusters and of all that is shown of them."""
    told = (study.title, str(study.synthetic), study.privacy.model_dump_json())
    tables = [fingerprints(lake, made_in(SUBTYPE_CLUSTERS), sex) for sex in SEXES]
    return digest_of(
        [
            *told,
            study.clusters.model_dump_json(),
            code_digest(*RESULT_CODE, shown=True),
            *fingerprints(lake, DISCHARGE_SOURCES).values(),
            *(fingerprint for found in tables for fingerprint in found.values()),
        ]
    )


def language_inputs(study: SubtypeStudy, options: LanguageModelOptions, lake: Lake) -> str:
    """Return the fingerprint of texts, options, pretrained weights and code behind the models."""
    parts = [
        options.model_dump_json(),
        study.privacy.model_dump_json(),
        _pretrained_revision(options),
        code_digest(*LANGUAGE_CODE),
        *fingerprints(lake, ("diagnosis_texts",)).values(),
    ]
    return digest_of(parts)


def _pretrained_revision(options: LanguageModelOptions) -> str:
    if options.base_model is None:
        return "none"
    # A model that is not here yet is the training's error to explain, not that of a look.
    try:
        return revision_of(options.base_model)
    except (ModelFolderError, OSError):
        return "absent"
