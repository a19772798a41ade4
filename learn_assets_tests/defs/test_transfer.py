"""A model goes from one site to another: exported, evaluated, or refused with the reason."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from learn_assets import __main__ as command_line
from learn_assets.defs.stages import cell_runs, transfer_runs
from learn_assets.schemas.registry import empty_frame
from learn_assets.study.windows import Window
from learn_assets_tests.defs.made import (
    ENCODER,
    RESULTS,
    MadeStudy,
    failed_checks,
    patient_ids,
    statuses,
    tiny_study,
    write_study_file,
)

TABLES = ("external_validation", "site_differences")
OF_PATIENTS = ("cohort", "scoring_population", "event_counts", "latest_measurement")
ALLOW = ("--accept", "training_patients")


@pytest.fixture(autouse=True)
def _unchanged_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(command_line, "keep_private", lambda: None)


def command(made: MadeStudy, *arguments: str) -> int:
    """Run a command on a study and its lake, as a user types it."""
    os.environ["LEARN_HOME"] = str(made.home)
    return command_line.main([*arguments, "--study", str(write_study_file(made))])


@pytest.fixture
def bundle(copied: MadeStudy, tmp_path: Path) -> Path:
    """The bundle of the longer window, as a site would send it."""
    folder = tmp_path / "sent" / "bundle"
    window = copied.study.windows[0].key
    exported = ("export-model", "--window", window, "--encoder", ENCODER, "--to", str(folder))
    assert command(copied, *exported) == 0
    return folder


def receiving(made: MadeStudy, bundle: Path, *accepted: str, **changes: object) -> MadeStudy:
    """Return the study that trained this bundle with the bundle named in its file."""
    accept = ["training_patients", *accepted]
    external = [{"name": "theirs", "path": str(bundle), "accept": accept, **changes}]
    return MadeStudy(tiny_study(external_models=external), made.home)


def study_beside(made: MadeStudy, home: Path, name: str, *, other_people: bool) -> MadeStudy:
    """Return a study of that name in `home` on a copy of a lake, or on one of other patients.

    Of other people are all ids; otherwise one patient whom no model needs is added, as in a
    refreshed extract.
    """
    shutil.copytree(made.home / made.study.name, home / name)
    there = MadeStudy(tiny_study(name=name), home)
    patients = there.lake.read("patient")
    if other_people:
        for window, tables in ((None, ("patient",)), (there.study.windows[0], OF_PATIENTS)):
            for table in tables:
                rename_patients(there, table, window, None)
        for table in ("patient_embeddings", "cross_validation"):
            rename_patients(there, table, there.study.windows[0], ENCODER)
    else:
        newcomer = patients[:1].with_columns(patient_id=pl.lit("newcomer"))
        there.lake.write("patient", pl.concat([patients, newcomer]))
    return there


def rename_patients(
    made: MadeStudy, table: str, window: Window | None, encoder: str | None
) -> None:
    frame = made.lake.read(table, window, encoder)
    renamed = frame.with_columns(patient_id="other-" + pl.col("patient_id"))
    made.lake.write(table, renamed, window=window, encoder=encoder)


def test_an_exported_bundle_is_announced_and_names_no_patient(
    copied: MadeStudy, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    window = copied.study.windows[0].key
    exported = ("export-model", "--window", window, "--encoder", ENCODER, "--to")
    assert command(copied, *exported, str(bundle.parent / "twin")) == 0
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert f"sha256 {digest}" in capsys.readouterr().out
    assert command(copied, *exported, str(bundle.parent / "third"), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sha256"] == digest
    assert (told["study"], told["folder"]) == (copied.study.name, str(bundle.parent / "third"))
    content = b"".join(path.read_bytes() for path in bundle.rglob("*") if path.is_file())
    assert not any(patient.encode() in content for patient in patient_ids(copied.lake))
    assert command(copied, *exported, str(bundle)) == 2
    assert "new folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["bundle", "*"])
def test_an_export_removes_nothing_beside_the_new_folder(
    copied: MadeStudy, tmp_path: Path, name: str
) -> None:
    shared = tmp_path / "shared"
    theirs = [f".{name}.backup", ".cache.d", f".learn-assets-staged-{'0' * 32}"]
    for folder in theirs:
        (shared / folder).mkdir(parents=True)
    cell = ("--window", copied.study.windows[0].key, "--encoder", ENCODER)
    assert command(copied, "export-model", *cell, "--to", str(shared / name)) == 0
    assert {path.name for path in shared.iterdir()} == {name, *theirs}


def test_only_the_cell_it_was_made_for_evaluates_it(copied: MadeStudy, bundle: Path) -> None:
    other = receiving(copied, bundle)
    outcomes = statuses(other.materialize())
    made = {label for label, status in outcomes.items() if status == "made"}
    assert made == {*(f"transfer {other.cell_key(number)}" for number in range(2)), RESULTS}
    first, second = other.study.windows
    validated = other.lake.read("external_validation", first, ENCODER)
    assert set(validated["mode"]) >= {"own", "as_is", "recalibrated_intercept", "refitted"}
    assert "auroc_minus_own" in set(validated["metric"])
    shift = other.lake.read("site_differences", first, ENCODER)
    # The same site: nothing is absent and nobody differs.
    assert shift.filter(pl.col("aspect") == "case_mix")["standardized_difference"].abs().max() == 0
    found = shift.filter(pl.col("aspect") == "features_found")
    assert found["source"].equals(found["here"].rename("source"))
    for table in TABLES:
        assert other.lake.read(table, second, ENCODER).equals(empty_frame(table))
    assert set(statuses(other.materialize()).values()) == {"current"}


def test_another_bundle_under_the_same_name_is_evaluated_again(
    copied: MadeStudy, bundle: Path
) -> None:
    other = receiving(copied, bundle)
    assert other.run_job("transfer", window=0).success
    assert transfer_runs(other.study, other.lake)[0].current
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"tiny"', '"elsewhere"'))
    assert not transfer_runs(other.study, other.lake)[0].current
    assert cell_runs(other.study, other.lake)[0].current
    assert other.run_job("transfer", window=0).success
    assert transfer_runs(other.study, other.lake)[0].current


@pytest.mark.parametrize("spoil", ["altered", "incomplete", "another", "window"])
def test_a_bundle_that_does_not_fit_is_refused_with_the_reason(
    copied: MadeStudy, bundle: Path, spoil: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = receiving(copied, bundle)
    manifest = bundle / "manifest.json"
    settings = bundle / "preprocessing" / "settings.json"
    arguments = ["external-validation", "--model", str(bundle), *ALLOW]
    if spoil == "altered":
        settings.write_bytes(settings.read_bytes() + b" ")
        reason = "preprocessing/settings.json"
    elif spoil == "incomplete":
        settings.unlink()
        reason = "missing"
    elif spoil == "another":
        target = receiving(copied, bundle, sha256="0" * 64)
        arguments += ["--sha256", "0" * 64]
        reason = "announced"
    else:
        manifest.write_text(manifest.read_text().replace("FUP-1825", "FUP-99"))
        reason = "FUP-99"
    result = target.run_job("transfer", window=0)
    assert not result.success
    assert reason in "".join(
        str(event.step_failure_data.error) for event in result.get_step_failure_events()
    )
    capsys.readouterr()
    assert command(copied, *arguments) == 2
    message = capsys.readouterr().err.strip()
    assert reason in message
    assert len(message.splitlines()) == 1


def test_a_site_with_other_code_lists_is_asked_first(
    copied: MadeStudy, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = copied.lake.read("code_list")
    outcome = pl.col("list") == "systemic_lupus_erythematosus"
    copied.lake.write("code_list", lists.filter(~outcome | (pl.col("code_system") == "ICD-10-CM")))
    target = receiving(copied, bundle)
    assert not target.run_job("transfer", window=0).success
    arguments = ("external-validation", "--model", str(bundle), *ALLOW)
    assert command(copied, *arguments) == 2
    assert "systemic_lupus_erythematosus" in capsys.readouterr().err
    judged = receiving(copied, bundle, "code_lists", refit=False)
    result = judged.run_job("transfer", window=0)
    assert result.success
    assert failed_checks(result) == set()
    assert command(copied, *arguments, "--accept", "code_lists", "--no-refit") == 0
    shown = capsys.readouterr()
    assert "| external | as_is | learn |" in shown.out
    assert "refitted" not in shown.out
    assert "accepted" in shown.err


@pytest.mark.parametrize("where", ["same lake", "copy of the lake", "refreshed extract"])
def test_patients_who_trained_a_bundle_are_no_external_validation(
    copied: MadeStudy, bundle: Path, where: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    here = copied
    if where == "copy of the lake":
        shutil.copytree(copied.home / "tiny", tmp_path / "other_home" / "elsewhere")
        here = MadeStudy(tiny_study(name="elsewhere"), tmp_path / "other_home")
    elif where == "refreshed extract":
        here = study_beside(copied, copied.home, "elsewhere", other_people=False)
    arguments = ("external-validation", "--model", str(bundle), "--no-refit")
    capsys.readouterr()
    assert command(here, *arguments) == 2
    refused = capsys.readouterr()
    assert refused.out == ""
    assert "`training_patients`" in refused.err
    assert len(refused.err.strip().splitlines()) == 1
    # Only a name can be anybody's: nobody talks this away as the study of another site.
    assert command(here, *arguments, "--accept", "study_name") == 2
    assert command(here, *arguments, *ALLOW) == 0
    shown = capsys.readouterr().out
    assert "NOT EXTERNAL - external" in shown
    assert not any(patient in shown + refused.err for patient in patient_ids(here.lake))


def test_patients_of_another_site_are_taken_without_a_word(
    copied: MadeStudy, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = study_beside(copied, copied.home, "there", other_people=True)
    capsys.readouterr()
    assert command(there, "external-validation", "--model", str(bundle), "--no-refit") == 0
    shown = capsys.readouterr()
    assert "| external | as_is | learn |" in shown.out
    assert "NOT EXTERNAL" not in shown.out
    assert "accepted" not in shown.err
    same = ("external-validation", "--model", str(bundle), "--no-refit", "--json")
    assert command(there, *same) == 0
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert cell["not_external"] is None
    assert (cell["study"], cell["encoder"]) == (there.study.name, ENCODER)
    table, _ = shown.out.split("| model | aspect |")
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| external")]
    assert len(rows) == len(cell["performance"])
    for row, read in zip(rows, cell["performance"], strict=True):
        assert row[1:4] == [read["mode"], read["feature_set"], read["learner"]]
        if read["auroc"] is not None:
            assert row[4].startswith(f"{read['auroc']['value']:.3f}")


def test_another_site_may_have_given_its_study_the_same_name(
    copied: MadeStudy, bundle: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    there = study_beside(copied, tmp_path / "other_home", "tiny", other_people=True)
    shutil.rmtree(there.lake.root / "champion")
    arguments = ("external-validation", "--model", str(bundle), "--no-refit")
    capsys.readouterr()
    assert command(there, *arguments) == 2
    assert "`study_name`" in capsys.readouterr().err
    assert command(there, *arguments, "--accept", "study_name") == 0
    shown = capsys.readouterr()
    assert "NOT EXTERNAL" not in shown.out
    assert "accepted: it was trained in a study named `tiny` too" in shown.err
    assert command(there, *arguments, *ALLOW) == 0
    assert "NOT EXTERNAL" in capsys.readouterr().out


def test_the_pipeline_refuses_training_patients_and_labels_what_is_allowed(
    copied: MadeStudy, bundle: Path
) -> None:
    strict = receiving(copied, bundle, accept=[])
    result = strict.run_job("transfer", window=0)
    assert not result.success
    errors = [str(event.step_failure_data.error) for event in result.get_step_failure_events()]
    assert all("`training_patients`" in error for error in errors)
    allowed = receiving(copied, bundle, refit=False)
    assert allowed.run_job("transfer", window=0).success
    table = allowed.lake.read("external_validation", allowed.study.windows[0], ENCODER)
    assert table["not_external"].null_count() == 0


@pytest.mark.slow
def test_the_commands_of_the_guide_carry_a_model_to_a_site_with_other_codes(
    made: MadeStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"format": "synthetic", "patients": 160, "seed": 8, "coding_habit": "transfer"}
    there = MadeStudy(tiny_study(source=source, name="there"), tmp_path / "there")
    assert set(statuses(there.materialize()).values()) == {"made"}
    window = made.study.windows[0].key
    sent = str(tmp_path / "bundle")
    home = made.copy(tmp_path / "home")
    assert (
        command(home, "export-model", "--window", window, "--encoder", ENCODER, "--to", sent) == 0
    )
    digest = capsys.readouterr().out.split("sha256 ")[1].split()[0]
    assert command(there, "external-validation", "--model", sent, "--sha256", digest) == 0
    shown = capsys.readouterr().out
    rows = [line.split(" | ") for line in shown.splitlines() if "features_found" in line]
    found = {row[2]: (float(row[3]), float(row[4])) for row in rows}
    assert found
    assert all(0 <= here <= wanted for wanted, here in found.values())
    assert "| external | as_is | learn |" in shown
    assert "| case_mix | records |" in shown
    assert not any(patient in shown for patient in patient_ids(there.lake))
