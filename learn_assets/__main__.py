"""Command line: materialize a study, show results, open the UI, check a study, tend its vectors."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from learn_assets import model_commands
from learn_assets.interruption import run_until_signal
from learn_assets.private_process import keep_private

if TYPE_CHECKING:
    from learn_assets.defs.runner import StageOutcome
    from learn_assets.study.file import AnyStudy

_BAD = {"failed", "blocked"}
_RESUME = (
    "\nInterrupted. Finished steps are kept in the lake: run the same command again to resume."
)
_STORE_ACTIONS = ("size", "verify", "compact", "collect")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 a run failed, 2 a wrong setting."""
    keep_private()
    options = argument_parser().parse_args(arguments)
    from learn_assets.lake import LakeHomeError
    from learn_assets.sources.files import SourceError
    from learn_assets.study.file import StudyFileError, load_study

    name = options.study or os.environ.get("LEARN_STUDY", "demo")
    try:
        study = load_study(name)
        _fix_places(name, study)
        return _run(options, study)
    except (StudyFileError, LakeHomeError, SourceError) as error:
        print(error, file=sys.stderr)
        return 2


def _fix_places(name: str, study: AnyStudy) -> None:
    """Name study and lake by whole paths: the processes we start have another working directory."""
    from learn_assets.study.file import packaged_studies

    file = name if name in packaged_studies() else str(Path(name).expanduser().resolve())
    os.environ["LEARN_STUDY"] = file
    os.environ["LEARN_HOME"] = str(Path(os.environ.get("LEARN_HOME") or study.lake.home).resolve())


def _run(options: argparse.Namespace, study: AnyStudy) -> int:
    if options.command == "materialize":
        return _materialize(study, force=options.force)
    if options.command in _PLAIN:
        return _PLAIN[options.command](study)
    if options.command == "ui":
        return _open_ui(study, options.port)
    if options.command == "store":
        return _store(study, options.action, delete=options.delete)
    if options.command in model_commands.COMMANDS:
        return model_commands.run(options, study)
    print(f"{study.name}: {_outline(study)}; no errors")
    return 0


def _outline(study: AnyStudy) -> str:
    from learn_assets.study.subtypes import SubtypeStudy

    if isinstance(study, SubtypeStudy):
        return f"subtypes of {study.source.format} discharges, pruning {study.pruning.preset}"
    return f"{len(study.windows)} windows, {len(study.encoders)} encoders"


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    parser = argparse.ArgumentParser(prog="learn-assets", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "materialize": "make every asset of a study that is out of date",
        "show": "print the results that are in the lake",
        "ui": "open the Dagster UI on 127.0.0.1",
        "check": "read a study file and say what is wrong with it",
        "store": "size, verify, compact or clear out the vectors of a study",
        "doctor": "say what this machine can run, and what an encoder still lacks",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--study", help="packaged name or path of a YAML file (default: demo)")
        if name == "materialize":
            command.add_argument("--force", action="store_true", help="also what is up to date")
        if name == "ui":
            command.add_argument("--port", type=int, default=3000)
        if name == "store":
            command.add_argument("action", nargs="?", choices=_STORE_ACTIONS, default="size")
            command.add_argument("--delete", action="store_true", help="collect: remove, not list")
    model_commands.add_commands(commands)
    return parser


def _materialize(study: AnyStudy, *, force: bool) -> int:
    return run_until_signal(partial(_run_stages, study, force=force), _cancel_runs, _RESUME)


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
    print(f"{outcome.seconds:7.1f} s  {outcome.status:8}{outcome.run.label}{detail}", flush=True)


def _show(study: AnyStudy) -> int:
    from learn_assets.lake import Lake
    from learn_assets.reporting.results import collect_results
    from learn_assets.reporting.text import summary
    from learn_assets.study.subtypes import SubtypeStudy
    from learn_assets.subtypes.summary import subtypes_summary

    lake = Lake.open(study.name, study.lake.home)
    if isinstance(study, SubtypeStudy):
        print(subtypes_summary(study, lake))
    else:
        print(summary(collect_results(study, lake)))
    return 0


def _store(study: AnyStudy, action: str, *, delete: bool) -> int:
    from learn_assets.lake import Lake
    from learn_assets.store_command import answer_store_command

    lake = Lake.open(study.name, study.lake.home)
    answer = answer_store_command(study, lake, action, delete=delete)
    print("\n".join(answer.lines), file=sys.stderr if answer.status == 2 else sys.stdout)
    return answer.status


def _doctor(study: AnyStudy) -> int:
    from learn_assets.doctor import examine
    from learn_assets.embedding.devices import probe_devices

    diagnosis = examine(study, probe_devices())
    print("\n".join(diagnosis.lines))
    return 0 if diagnosis.well else 1


def _open_ui(study: AnyStudy, port: int) -> int:
    from learn_assets.defs.runner import prepare_dagster_home
    from learn_assets.lake import Lake
    from learn_assets.project_files import project_file

    prepare_dagster_home(Lake.open(study.name, study.lake.home).root.parent)
    workspace = project_file("workspace.yaml")
    options = ["-w", workspace.name, "-h", "127.0.0.1", "-p", str(port)]
    command = [sys.executable, "-m", "dagster", "dev", *options]
    return subprocess.run(command, cwd=workspace.parent, check=False).returncode


_PLAIN: dict[str, Callable[[AnyStudy], int]] = {"show": _show, "doctor": _doctor}

if __name__ == "__main__":
    sys.exit(main())
