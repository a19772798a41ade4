"""Models: change the champion, send a model to another site, try one of another site."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from learn_assets.analyses.transfer.computation import external_validation, transfer_predictions
from learn_assets.analyses.transfer.site_differences import site_differences
from learn_assets.analyses.transfer.words import (
    comparison_rows,
    comparison_table,
    differences_rows,
    differences_table,
)
from learn_assets.commands.answer import Answer, RefusedError
from learn_assets.lake import Lake, MissingTableError
from learn_assets.modeling.bundle import BundleError, bundle_digest, read_bundle
from learn_assets.modeling.champion import ChampionError, HistoryEntry
from learn_assets.modeling.external_models import FittingModel, fitting_models
from learn_assets.modeling.lake_cell import champion_history, load_cell
from learn_assets.modeling.protocol import ModelingProtocol
from learn_assets.staging import staged_folder
from learn_assets.study import EncoderChoice, ExternalModel, Study
from learn_assets.study.file import AnyStudy
from learn_assets.study.windows import Window


def export(asked: AnyStudy, window_key: str, encoder_id: str, to: Path) -> Answer:
    """Copy the model bundle of a cell to a new folder. RefusedError says why not."""
    with _opened(asked) as (study, lake):
        window, encoder = study.window(window_key), study.encoder(encoder_id)
        source = lake.folder("model_bundle", window, encoder.id) / "bundle"
        if not source.exists():
            raise BundleError(
                f"no model bundle for {window.key} and {encoder.id} in the lake {lake.root}; "
                "run `learn-assets materialize` first"
            )
        models = read_bundle(source).models
        target = to.resolve()
        if target.exists():
            raise FileExistsError(f"{target} is there already; name a new folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with staged_folder(target.parent) as staged:
            shutil.copytree(source, staged / "bundle")
            (staged / "bundle").rename(target)
        digest = bundle_digest(target)
    command = (
        f"learn-assets external-validation --study STUDY --model {target.name} --sha256 {digest}"
    )
    text = (
        f"{len(models)} models of {study.name} in {target}\nsha256 {digest}\n"
        f"Send the folder, and the sha256 by another way. The other site runs:\n{command}"
    )
    document = {"study": study.name, "models": len(models), "folder": target, "sha256": digest}
    return Answer(text, document)


def validate_externally(asked: AnyStudy, choice: ExternalModel) -> Iterator[Answer]:
    """Evaluate a bundle of another site in each cell that it fits. RefusedError says why not.

    Warnings for the reader go to standard error.
    """
    with _opened(asked) as (study, lake):
        receiving = study.model_copy(update={"external_models": (choice,)})
        for window in study.windows:
            for encoder in study.encoders:
                for model in fitting_models(receiving, lake, window, encoder):
                    yield _validated(study, lake, window, encoder, model)


def _validated(
    study: Study, lake: Lake, window: Window, encoder: EncoderChoice, model: FittingModel
) -> Answer:
    minimum, protocol = study.privacy.minimum_cell, ModelingProtocol.from_study(study)
    name = model.choice.name
    cell = load_cell(study, lake, window, encoder)
    own = lake.read("cross_validation", window, encoder.id)
    validated = external_validation(
        name,
        transfer_predictions(model.bundle, cell, protocol, own, refit=model.choice.refit),
        minimum_cell=minimum,
        seed=protocol.seed,
        not_external=model.not_external,
    )
    notes = [f"accepted: {difference.reason}" for difference in model.accepted]
    for line in (*notes, *validated.warnings):
        typer.echo(line, err=True)
    shift = site_differences(name, model.bundle, cell, minimum_cell=minimum)
    label = "SYNTHETIC DATA - " if study.synthetic else ""
    title = f"{label}{study.title}, {window.key}, encoder {encoder.id}"
    document = {
        "study": study.name,
        "synthetic": study.synthetic,
        "window": window.key,
        "encoder": encoder.id,
        "not_external": model.not_external,
        "performance": comparison_rows(validated.frame),
        "differences": differences_rows(shift),
    }
    tables = f"{comparison_table(validated.frame)}\n\n{differences_table(shift)}"
    return Answer(f"{title}\n\n{tables}", document)


def roll_back(asked: AnyStudy, window_key: str, encoder_id: str, to: str | None) -> Answer:
    """Put an earlier champion in force again. RefusedError says why not."""
    with _opened(asked) as (study, lake):
        window, encoder = study.window(window_key), study.encoder(encoder_id)
        entry = champion_history(lake, window, encoder).roll_back(to)
        return _scored_with(entry, study, lake, window, encoder)


def promote(asked: AnyStudy, window_key: str, encoder_id: str, reason: str) -> Answer:
    """Put the newest models in force for a reason of a person. RefusedError says why not."""
    with _opened(asked) as (study, lake):
        window, encoder = study.window(window_key), study.encoder(encoder_id)
        newest = lake.folder("trained_models", window, encoder.id) / "bundle"
        out_of_fold = lake.read("cross_validation", window, encoder.id)
        history = champion_history(lake, window, encoder)
        entry = history.promote(newest, out_of_fold, f"decided by a person: {reason}")
        return _scored_with(entry, study, lake, window, encoder)


def _scored_with(
    entry: HistoryEntry, study: Study, lake: Lake, window: Window, encoder: EncoderChoice
) -> Answer:
    """Score everyone eligible now with the models that an entry put in force."""
    from learn_assets.definitions import build_definitions
    from learn_assets.defs.runner import prepare_dagster_home, score_again

    prepare_dagster_home(lake.root.parent)
    outcome = score_again(build_definitions(study), window, encoder)
    failed = outcome.status == "failed"
    scores = (
        f"scores of the earlier models are still in the lake: {outcome.reason}"
        if failed
        else "everyone eligible now is scored with it"
    )
    digest = entry.champion[:12]
    document = {
        "study": study.name,
        "window": window.key,
        "encoder": encoder.id,
        "champion": digest,
        "reason": entry.reason,
        "scored": not failed,
        "failure": outcome.reason if failed else None,
    }
    text = f"in force in {window.key}, {encoder.id}: {digest} ({entry.reason})\n{scores}"
    return Answer(text, document, 1 if failed else 0)


@contextmanager
def _opened(study: AnyStudy) -> Iterator[tuple[Study, Lake]]:
    """Yield a study of risk models and its lake; what a person can cure is a RefusedError."""
    if not isinstance(study, Study):
        raise RefusedError(f"study {study.name} has no risk models")
    lake = Lake.open(study.name, study.lake.home)
    try:
        yield study, lake
    except (BundleError, ChampionError, MissingTableError, KeyError, FileExistsError) as error:
        raise RefusedError(error.args[0]) from error
