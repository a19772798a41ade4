"""App: the commands with their options, and how each of them ends.

What belongs here: names, options and exit statuses. Each command imports what it needs when it
runs, so that the help and `doctor` are quick.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from learn_assets import __version__
from learn_assets.commands.answer import Answer, RefusedError, as_json
from learn_assets.interruption import run_until_signal

if TYPE_CHECKING:
    from learn_assets.defs.runner import StageOutcome
    from learn_assets.study.file import AnyStudy

PROGRAM = "learn-assets"

_BAD = {"failed", "blocked"}
_RESUME = (
    "\nInterrupted. Finished steps are kept in the lake: run the same command again to resume."
)

# A traceback with the values of variables could show those of patients.
app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StudyName = Annotated[
    str | None,
    typer.Option("--study", help="packaged name or path of a YAML file (default: demo)"),
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document instead of text")]
WindowKey = Annotated[str, typer.Option("--window", help="key such as LIS-730_BP-180_FUP-1825")]
EncoderId = Annotated[str, typer.Option("--encoder", help="id of the encoder in the study")]


class Judged(StrEnum):
    """What a person may accept of a bundle of another site."""

    COHORT = "cohort"
    CODE_LISTS = "code_lists"
    STUDY_NAME = "study_name"
    TRAINING_PATIENTS = "training_patients"


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; standard error says which setting is wrong."""
    command = typer.main.get_command(app)
    try:
        status: int = command.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        typer.echo(f"{error.format_message()} See `{PROGRAM} --help`.", err=True)
        return error.exit_code
    except _wrong_settings() as error:
        typer.echo(error, err=True)
        return 2
    return status


def _wrong_settings() -> tuple[type[Exception], ...]:
    """Return the errors that a person can cure; they are imported once one is raised."""
    from learn_assets.lake import LakeHomeError
    from learn_assets.sources.files import SourceError
    from learn_assets.study.file import StudyFileError

    return RefusedError, StudyFileError, LakeHomeError, SourceError


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


def _whole_digest(text: str | None) -> str | None:
    if text is not None and re.fullmatch(r"[0-9a-f]{64}", text) is None:
        raise typer.BadParameter("wanted are 64 digits of 0-9 and a-f")
    return text


@app.callback()
def _program(
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="print the version"),
    ] = False,
) -> None:
    """Materialize a study, show results, open the UI, check a study, tend its vectors."""


@app.command()
def materialize(
    study: StudyName = None,
    force: Annotated[bool, typer.Option("--force", help="also what is up to date")] = False,
) -> int:
    """Make every asset of a study that is out of date."""
    work = partial(_run_stages, _loaded(study), force=force)
    return run_until_signal(work, _cancel_runs, _RESUME)


@app.command()
def show(study: StudyName = None, json: AsJson = False) -> int:
    """Print the results that are in the lake."""
    from learn_assets.commands.studies import show_results

    return _printed(show_results(_loaded(study)), json=json)


@app.command()
def ui(study: StudyName = None, port: int = 3000) -> int:
    """Open the Dagster UI on 127.0.0.1."""
    from learn_assets.defs.runner import prepare_dagster_home
    from learn_assets.lake import Lake
    from learn_assets.project_files import project_file

    loaded = _loaded(study)
    prepare_dagster_home(Lake.open(loaded.name, loaded.lake.home).root.parent)
    workspace = project_file("workspace.yaml")
    options = ["-w", workspace.name, "-h", "127.0.0.1", "-p", str(port)]
    command = [sys.executable, "-m", "dagster", "dev", *options]
    return subprocess.run(command, cwd=workspace.parent, check=False).returncode


@app.command()
def check(study: StudyName = None, json: AsJson = False) -> int:
    """Read a study file and say what is wrong with it."""
    from learn_assets.commands.studies import outline

    return _printed(outline(_loaded(study)), json=json)


@app.command()
def store(
    action: Annotated[
        Literal["size", "verify", "compact", "collect"], typer.Argument(help="what to do with them")
    ] = "size",
    study: StudyName = None,
    delete: Annotated[bool, typer.Option("--delete", help="collect: remove, not list")] = False,
    json: AsJson = False,
) -> int:
    """Size, verify, compact or clear out the vectors of a study."""
    from learn_assets.commands.store import tend_stores
    from learn_assets.lake import Lake

    loaded = _loaded(study)
    lake = Lake.open(loaded.name, loaded.lake.home)
    return _printed(tend_stores(loaded, lake, action, delete=delete), json=json)


@app.command()
def doctor(study: StudyName = None, json: AsJson = False) -> int:
    """Say what this machine can run, and what an encoder still lacks."""
    from learn_assets.commands.doctor import examine
    from learn_assets.embedding.devices import probe_devices

    return _printed(examine(_loaded(study), probe_devices()).answer(), json=json)


@app.command()
def export_model(
    window: WindowKey,
    encoder: EncoderId,
    to: Annotated[Path, typer.Option(help="new folder for the bundle")],
    study: StudyName = None,
    json: AsJson = False,
) -> int:
    """Copy the model bundle of a cell to a folder for another site."""
    from learn_assets.commands import models

    return _printed(models.export(_loaded(study), window, encoder, to), json=json)


@app.command()
def external_validation(
    model: Annotated[Path, typer.Option(help="folder of the bundle")],
    sha256: Annotated[
        str | None,
        typer.Option(callback=_whole_digest, help="digest that the other site announced"),
    ] = None,
    accept: Annotated[
        list[Judged] | None,
        typer.Option(
            help="what you have judged: a difference between the studies (cohort, code_lists), "
            "that another site uses the same study name, or that the model learned from patients "
            "here, so that results are labelled as not external"
        ),
    ] = None,
    study: StudyName = None,
    no_refit: Annotated[
        bool, typer.Option("--no-refit", help="do not train its features anew here")
    ] = False,
    json: AsJson = False,
) -> int:
    """Evaluate a bundle of another site on this study's patients."""
    from learn_assets.commands.models import validate_externally
    from learn_assets.study import ExternalModel

    accepted = tuple(part.value for part in accept or ())
    choice = ExternalModel.model_validate(
        {"name": "external", "path": model.resolve(), "sha256": sha256, "accept": accepted}
        | {"refit": not no_refit}
    )
    validated = validate_externally(_loaded(study), choice)
    if json:
        typer.echo(as_json({"cells": [cell.document for cell in validated]}))
        return 0
    for cell in validated:
        typer.echo(cell.text)
    return 0


@app.command()
def roll_back(
    window: WindowKey,
    encoder: EncoderId,
    to: Annotated[
        str | None, typer.Option(help="first digits of its digest (default: the one before)")
    ] = None,
    study: StudyName = None,
    json: AsJson = False,
) -> int:
    """Put an earlier champion of a cell in force again."""
    from learn_assets.commands import models

    return _printed(models.roll_back(_loaded(study), window, encoder, to), json=json)


@app.command()
def promote(
    window: WindowKey,
    encoder: EncoderId,
    reason: Annotated[str, typer.Option(help="why, for the history; no patient data")],
    study: StudyName = None,
    json: AsJson = False,
) -> int:
    """Put the newest models of a cell in force by decision."""
    from learn_assets.commands import models

    return _printed(models.promote(_loaded(study), window, encoder, reason), json=json)


def _loaded(name: str | None) -> AnyStudy:
    """Return the study, and name it and its lake by whole paths for the processes we start.

    Those have another working directory.
    """
    from learn_assets.study.file import load_study, packaged_studies

    chosen = name or os.environ.get("LEARN_STUDY", "demo")
    study = load_study(chosen)
    packaged = chosen in packaged_studies()
    os.environ["LEARN_STUDY"] = chosen if packaged else str(Path(chosen).expanduser().resolve())
    os.environ["LEARN_HOME"] = str(Path(os.environ.get("LEARN_HOME") or study.lake.home).resolve())
    return study


def _printed(answer: Answer, json: bool) -> int:
    typer.echo(as_json(answer.document) if json else answer.text)
    return answer.status


def _cancel_runs() -> None:
    # Nothing has run before this module is loaded.
    runner = sys.modules.get("learn_assets.defs.runner")
    if runner is not None:
        runner.cancel_own_runs()


def _run_stages(study: AnyStudy, *, force: bool) -> int:
    from learn_assets.definitions import build_definitions
    from learn_assets.defs.runner import materialize_study, prepare_dagster_home
    from learn_assets.lake import Lake

    lake = Lake.open(study.name, study.lake.home)
    prepare_dagster_home(lake.root.parent)
    definitions = build_definitions(study)
    outcomes = materialize_study(study, lake, definitions, force=force, report=_print_outcome)
    return 1 if any(outcome.status in _BAD for outcome in outcomes) else 0


def _print_outcome(outcome: StageOutcome) -> None:
    detail = f"\n{outcome.reason}" if outcome.reason else ""
    typer.echo(f"{outcome.seconds:7.1f} s  {outcome.status:8}{outcome.run.label}{detail}")
