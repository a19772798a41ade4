"""Staged folders: what our killed processes left goes, and nothing of other people ever does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from learn_assets.lake import Lake
from learn_assets.staging import replace_folder, staged_folder, staged_folder_of_ours

_KILLED = """
import os, signal, sys
from pathlib import Path
from learn_assets.staging import staged_folder
with staged_folder(Path(sys.argv[1])) as folder:
    (folder / "patients.parquet").write_bytes(b"half a table")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def leave_abandoned(parent: Path) -> Path:
    """Return the folder that a killed process staged in `parent`."""
    before = set(parent.iterdir())
    subprocess.run([sys.executable, "-c", _KILLED, str(parent)], check=False, timeout=60)
    (left,) = set(parent.iterdir()) - before
    assert list(left.iterdir())
    return left


def theirs(parent: Path, like: Path) -> list[Path]:
    """Make folders of other people whose names come near to ours."""
    names = ("*", ".config", ".bundle.old", "tmpabcd1234", f"{like.name}0", like.name.upper())
    folders = [parent / name for name in (*names, ".learn-assets-staged-")]
    for folder in folders:
        folder.mkdir()
        (folder / "thesis.txt").write_text("years of work")
    return folders


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "parent"
    folder.mkdir()
    return folder


def test_what_a_killed_process_staged_goes_and_work_under_way_stays(lake: Lake) -> None:
    abandoned = leave_abandoned(lake.folder("staging"))
    with lake.staging() as first, lake.staging() as second:
        assert not abandoned.exists()
        assert first.exists()
        assert second.exists()


def test_nothing_of_another_name_is_removed(parent: Path) -> None:
    abandoned = leave_abandoned(parent)
    kept = theirs(parent, abandoned)
    (parent / f"{abandoned.name[:-1]}g").write_text("a file")
    with staged_folder_of_ours(parent):
        assert not abandoned.exists()
    assert all((folder / "thesis.txt").exists() for folder in kept)
    assert (parent / f"{abandoned.name[:-1]}g").exists()


def test_a_link_of_our_name_leads_to_nobody_elses_folder(parent: Path) -> None:
    elsewhere = parent.with_name("elsewhere")
    elsewhere.mkdir()
    (elsewhere / "thesis.txt").write_text("years of work")
    link = parent / f".learn-assets-staged-{'0' * 32}"
    link.symlink_to(elsewhere)
    with staged_folder_of_ours(parent) as folder:
        assert folder.exists()
    assert (elsewhere / "thesis.txt").exists()


def test_a_folder_staged_for_a_person_touches_nothing_beside_it(parent: Path) -> None:
    abandoned = leave_abandoned(parent)
    with staged_folder(parent) as folder:
        assert folder.stat().st_mode & 0o077 == 0
    assert list(parent.iterdir()) == [abandoned]


def test_a_folder_that_was_moved_to_its_place_stays_there(parent: Path) -> None:
    place = parent / "place"
    for content in ("old", "new"):
        with staged_folder_of_ours(parent) as temporary:
            (temporary / "made").mkdir()
            (temporary / "made" / "file").write_text(content)
            replace_folder(temporary / "made", place, temporary / "retired")
    assert (place / "file").read_text() == "new"
    assert list(parent.iterdir()) == [place]


def test_a_failed_replacement_leaves_what_was_there(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = parent / "place"
    place.mkdir()

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(f"{source} to {target}")

    monkeypatch.setattr(os, "replace", refuse)
    with staged_folder_of_ours(parent) as temporary:
        (temporary / "made").mkdir()
        with pytest.raises(PermissionError):
            replace_folder(temporary / "made", place, temporary / "retired")
    assert list(parent.iterdir()) == [place]
