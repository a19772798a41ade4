"""Model commands: change the champion, send a model to another site, try one of another site."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from learn_assets.lake import Lake
    from learn_assets.study import Study
    from learn_assets.study.file import AnyStudy

COMMANDS = ("export-model", "external-validation", "roll-back", "promote")

# What argparse makes of add_subparsers has no public name.
_Commands = argparse._SubParsersAction


def add_commands(commands: _Commands[argparse.ArgumentParser]) -> None:
    """Add the parsers of these commands."""
    study = argparse.ArgumentParser(add_help=False)
    study.add_argument("--study", help="packaged name or path of a YAML file (default: demo)")
    export = commands.add_parser(
        "export-model",
        parents=[study],
        help="copy the model bundle of a cell to a folder for another site",
    )
    _add_cell(export)
    export.add_argument("--to", type=Path, required=True, help="new folder for the bundle")
    external = commands.add_parser(
        "external-validation",
        parents=[study],
        help="evaluate a bundle of another site on this study's patients",
    )
    external.add_argument("--model", type=Path, required=True, help="folder of the bundle")
    external.add_argument("--sha256", type=_sha256, help="digest that the other site announced")
    external.add_argument(
        "--accept",
        action="append",
        default=[],
        choices=("cohort", "code_lists", "study_name", "training_patients"),
        help="what you have judged: a difference between the studies (cohort, code_lists), that "
        "another site uses the same study name, or that the model learned from patients here, so "
        "that results are labelled as not external",
    )
    external.add_argument(
        "--no-refit", action="store_true", help="do not train its features anew here"
    )

    roll_back = commands.add_parser(
        "roll-back", parents=[study], help="put an earlier champion of a cell in force again"
    )
    _add_cell(roll_back)
    roll_back.add_argument("--to", help="first digits of its digest (default: the one before)")
    promote = commands.add_parser(
        "promote", parents=[study], help="put the newest models of a cell in force by decision"
    )
    _add_cell(promote)
    promote.add_argument("--reason", required=True, help="why, for the history; no patient data")


def run(options: argparse.Namespace, study: AnyStudy) -> int:
    """Run one of the commands; 2, with one line on standard error, when it is refused."""
    from learn_assets.study import Study

    if not isinstance(study, Study):
        print(f"{options.command}: study {study.name} has no risk models", file=sys.stderr)
        return 2
    from learn_assets.lake import Lake, MissingTableError
    from learn_assets.modeling.bundle import BundleError
    from learn_assets.modeling.champion import ChampionError

    lake = Lake.open(study.name, study.lake.home)
    try:
        if options.command == "export-model":
            _export(options, study, lake)
        elif options.command == "external-validation":
            _external_validation(options, study, lake)
        else:
            return _change_champion(options, study, lake)
    except (BundleError, ChampionError, MissingTableError, KeyError, FileExistsError) as error:
        print(error.args[0], file=sys.stderr)
        return 2
    return 0


def _add_cell(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--window", required=True, help="key such as LIS-730_BP-180_FUP-1825")
    parser.add_argument("--encoder", required=True, help="id of the encoder in the study")


def _sha256(text: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", text) is None:
        raise argparse.ArgumentTypeError("wanted are 64 digits of 0-9 and a-f")
    return text


def _export(options: argparse.Namespace, study: Study, lake: Lake) -> None:
    from learn_assets.modeling.bundle import BundleError, bundle_digest, read_bundle
    from learn_assets.staging import staged_folder

    window, encoder = study.window(options.window), study.encoder(options.encoder)
    source = lake.folder("model_bundle", window, encoder.id) / "bundle"
    if not source.exists():
        raise BundleError(
            f"no model bundle for {window.key} and {encoder.id} in the lake {lake.root}; "
            "run `learn-assets materialize` first"
        )
    models = read_bundle(source).models
    target = options.to.resolve()
    if target.exists():
        raise FileExistsError(f"{target} is there already; name a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with staged_folder(target.parent) as staged:
        shutil.copytree(source, staged / "bundle")
        (staged / "bundle").rename(target)
    digest = bundle_digest(target)
    print(f"{len(models)} models of {study.name} in {target}")
    print(f"sha256 {digest}")
    print("Send the folder, and the sha256 by another way. The other site runs:")
    print(f"learn-assets external-validation --study STUDY --model {target.name} --sha256 {digest}")


def _external_validation(options: argparse.Namespace, study: Study, lake: Lake) -> None:
    from learn_assets.evaluation.site_differences import site_differences
    from learn_assets.evaluation.transfer import external_validation, transfer_predictions
    from learn_assets.modeling.external_models import fitting_models
    from learn_assets.modeling.lake_cell import load_cell
    from learn_assets.modeling.protocol import ModelingProtocol
    from learn_assets.reporting.transfer import comparison_table, differences_table
    from learn_assets.study import ExternalModel

    choice = ExternalModel(
        name="external",
        path=options.model.resolve(),
        sha256=options.sha256,
        accept=tuple(options.accept),
        refit=not options.no_refit,
    )
    asked = study.model_copy(update={"external_models": (choice,)})
    minimum, protocol = study.privacy.minimum_cell, ModelingProtocol.from_study(study)
    for window in study.windows:
        for encoder in study.encoders:
            for model in fitting_models(asked, lake, window, encoder):
                cell = load_cell(study, lake, window, encoder)
                own = lake.read("cross_validation", window, encoder.id)
                transfer = transfer_predictions(
                    model.bundle, cell, protocol, own, refit=choice.refit
                )
                validated = external_validation(
                    choice.name,
                    transfer,
                    minimum_cell=minimum,
                    seed=protocol.seed,
                    not_external=model.not_external,
                )
                notes = [f"accepted: {difference.reason}" for difference in model.accepted]
                for line in (*notes, *validated.warnings):
                    print(line, file=sys.stderr)
                shift = site_differences(choice.name, model.bundle, cell, minimum_cell=minimum)
                label = "SYNTHETIC DATA - " if study.synthetic else ""
                print(f"{label}{study.title}, {window.key}, encoder {encoder.id}\n")
                print(comparison_table(validated.frame))
                print(f"\n{differences_table(shift)}")


def _change_champion(options: argparse.Namespace, study: Study, lake: Lake) -> int:
    """Change which models are in force and score everyone eligible now with them."""
    from learn_assets.definitions import build_definitions
    from learn_assets.defs.runner import prepare_dagster_home, score_again
    from learn_assets.modeling.lake_cell import champion_history

    window, encoder = study.window(options.window), study.encoder(options.encoder)
    history = champion_history(lake, window, encoder)
    if options.command == "roll-back":
        entry = history.roll_back(options.to)
    else:
        newest = lake.folder("trained_models", window, encoder.id) / "bundle"
        out_of_fold = lake.read("cross_validation", window, encoder.id)
        entry = history.promote(newest, out_of_fold, f"decided by a person: {options.reason}")
    print(f"in force in {window.key}, {encoder.id}: {entry.champion[:12]} ({entry.reason})")
    prepare_dagster_home(lake.root.parent)
    outcome = score_again(build_definitions(study), window, encoder)
    if outcome.status == "failed":
        print(f"scores of the earlier models are still in the lake: {outcome.reason}")
        return 1
    print("everyone eligible now is scored with it")
    return 0
