"""Group subtypes, language model: texts, both trainings and the vector of each admission."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from learn_assets import provenance
from learn_assets.defs.checks import contract_check
from learn_assets.defs.metadata import (
    COLUMN_SCHEMA,
    column_schema,
    figure_entry,
    table_description,
    table_result,
)
from learn_assets.defs.partitions import sex_partitions
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import StageRun, marked_step
from learn_assets.lake import Lake
from learn_assets.schemas.registry import LANGUAGE_MODELS, made_in
from learn_assets.study.language_model import LanguageModelOptions
from learn_assets.study.subtypes import SEXES, SubtypeStudy
from learn_assets.subtypes.freshness import language_inputs
from learn_assets.subtypes.language.embedding import embed_texts
from learn_assets.subtypes.language.fitting import (
    Fit,
    fit_contrastive_model,
    fit_language_model,
    trained_model,
)
from learn_assets.subtypes.language.history import training_frame
from learn_assets.subtypes.language.loss_figure import loss_figure
from learn_assets.subtypes.language.representation import model_folder, texts_of

GROUP = "subtypes"
_TITLES = {
    "language_model": "Masked-language-model training",
    "contrastive_model": "Contrastive training",
}


def subtype_assets(study: SubtypeStudy) -> list[dg.AssetsDefinition]:
    """Return the assets of the language model; none when the study has none."""
    if study.language_model is None:
        return []
    options = study.language_model
    return [
        _language_model(study, options),
        _contrastive_model(study, options),
        _text_embeddings(study, options),
    ]


def subtype_asset_checks(study: SubtypeStudy) -> list[dg.AssetChecksDefinition]:
    """Return the contract of each table."""
    if study.language_model is None:
        return []
    partitions = _partitions(study.language_model)
    return [contract_check(study, table, partitions) for table in made_in(LANGUAGE_MODELS)]


def subtype_jobs(study: SubtypeStudy) -> list[Any]:
    """Return the job that trains; none when there is nothing to train."""
    if study.language_model is None:
        return []
    description = "Language model, contrastive model and the vector of each admission."
    selection = dg.AssetSelection.assets(*made_in(LANGUAGE_MODELS))
    return [dg.define_asset_job(LANGUAGE_MODELS, selection, description=description)]


def language_runs(study: SubtypeStudy, lake: Lake) -> list[StageRun]:
    """Return one run for both sexes, or one a sex, as the study shares its model."""
    if study.language_model is None:
        return []
    places = SEXES if study.language_model.sharing == "each_sex" else (None,)
    return [
        StageRun(
            LANGUAGE_MODELS,
            inputs := language_inputs(study, study.language_model, lake),
            provenance.is_current(lake, made_in(LANGUAGE_MODELS), inputs, place),
            place,
            provenance.refused(lake, ("diagnosis_texts",)),
        )
        for place in places
    ]


@dataclass(frozen=True)
class _Step:
    """What a step works on: the lake, and the sex of its model; None for both."""

    lake: Lake
    place: str | None


@contextmanager
def _step(
    context: dg.AssetExecutionContext,
    study: SubtypeStudy,
    options: LanguageModelOptions,
    resource: LakeResource,
) -> Iterator[_Step]:
    """Yield the lake to a step; mark it when it ends well."""
    lake = resource.open()
    place = context.partition_key if context.has_partition_key else None
    with marked_step(context, lake, language_inputs(study, options, lake), place):
        yield _Step(lake, place)


def _language_model(study: SubtypeStudy, options: LanguageModelOptions) -> dg.AssetsDefinition:
    @_asset(study, options, "language_model", ["diagnosis_texts"])
    def language_model(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with _step(context, study, options, lake) as step:
            texts = texts_of(step.lake, step.place)
            folder = model_folder(step.lake, "language_model", step.place)
            fit = fit_language_model(texts, options, folder)
            return _fitted(study, step, "language_model", fit)

    return language_model


def _contrastive_model(study: SubtypeStudy, options: LanguageModelOptions) -> dg.AssetsDefinition:
    @_asset(study, options, "contrastive_model", ["diagnosis_texts", "language_model"])
    def contrastive_model(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with _step(context, study, options, lake) as step:
            fit = fit_contrastive_model(
                texts_of(step.lake, step.place),
                options,
                model_folder(step.lake, "language_model", step.place),
                model_folder(step.lake, "contrastive_model", step.place),
            )
            return _fitted(study, step, "contrastive_model", fit)

    return contrastive_model


def _text_embeddings(study: SubtypeStudy, options: LanguageModelOptions) -> dg.AssetsDefinition:
    @_asset(study, options, "text_embeddings", ["diagnosis_texts", "contrastive_model"])
    def text_embeddings(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with _step(context, study, options, lake) as step:
            vectors = embed_texts(
                trained_model(model_folder(step.lake, "contrastive_model", step.place)),
                texts_of(step.lake, step.place),
                pretrained=options.base_model is not None,
            )
            stamp = step.lake.write("text_embeddings", vectors, window=step.place)
            dimensions = vectors["vector"].list.len().max()
            return table_result(study, "text_embeddings", stamp, dimensions=str(dimensions))

    return text_embeddings


def _asset(
    study: SubtypeStudy, options: LanguageModelOptions, table: str, deps: list[str]
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Return the decorator of an asset that trains or uses a model, and writes one table."""
    return dg.asset(
        name=table,
        group_name=GROUP,
        owners=[study.owner],
        kinds={"torch", "huggingface", "parquet"},
        partitions_def=_partitions(options),
        pool="gpu",
        deps=deps,
        metadata={COLUMN_SCHEMA: column_schema(table)},
        description=table_description(table),
    )


def _partitions(options: LanguageModelOptions) -> dg.StaticPartitionsDefinition | None:
    return sex_partitions() if options.sharing == "each_sex" else None


def _fitted(study: SubtypeStudy, step: _Step, table: str, fit: Fit) -> dg.MaterializeResult:
    evaluations = training_frame(fit)
    stamp = step.lake.write(table, evaluations, window=step.place)
    figure = loss_figure(evaluations, _TITLES[table], f"subtypes-{table.replace('_', '-')}")
    return table_result(
        study,
        table,
        stamp,
        counts={
            "admissions_learned_from": fit.training,
            "admissions_held_out": fit.held_out,
            "admissions_shortened": fit.shortened,
        },
        held_out_loss_before=fit.evaluations[0].held_out_loss,
        held_out_loss=fit.best.held_out_loss,
        passes=fit.evaluations[-1].epoch,
        pass_kept=fit.best.epoch,
        losses=figure_entry(figure),
        model=dg.MetadataValue.path(fit.saved.folder),
        synthetic_data=str(study.synthetic),
    )
