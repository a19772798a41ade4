"""Kill points: a writer killed before each change it makes to the disk, in forked processes.

Run as a program by `test_kill_points.py`: the process that forks must hold no thread of its own, so
writing and judging happen in children only. What belongs here: the writers, and what must hold.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import polars as pl

from learn_assets.modeling import bundle
from learn_assets.modeling.bundle import BundleError, bundle_digest, read_bundle, write_bundle
from learn_assets.modeling.champion import ChampionError, ChampionHistory

_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}
_MOST_POINTS = 200


def killed_everywhere(action: Callable[[], None], judge: Callable[[], None]) -> int:
    """Kill `action` before its first change, its second, and so on, judging each; return how many.

    Each run starts from what `judge` left. AssertionError when a judgment fails.
    """
    for point in range(_MOST_POINTS):
        ended = _forked(lambda at=point: _killed_at(at, action))
        if ended == 0:
            return point
        assert ended == -signal.SIGKILL, f"point {point}: the writer ended with {ended}"
        assert _forked(judge) == 0, f"point {point}: what was left behind is not right"
    raise AssertionError("the writer never came to its end")


def _killed_at(point: int, action: Callable[[], None]) -> None:
    changes = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal changes
        if event == "open":
            flags = arguments[2]
            changing = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
        else:
            changing = event in _CHANGES
        if not changing:
            return
        if changes == point:
            os.kill(os.getpid(), signal.SIGKILL)
        changes += 1

    sys.addaudithook(watch)
    action()


def _forked(run: Callable[[], None]) -> int:
    """Run in a child; return its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run()
            status = 0
        except (AssertionError, OSError, BundleError, ChampionError):
            traceback.print_exc()
        finally:  # a child must never return into the parent's code
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def write_over(old: Path, new: Path, folder: Path) -> int:
    """Write bundle `new` over a copy of `old`: whole old, whole new or none, never a mixture."""
    place = folder / "bundle"

    def restore() -> None:
        write_bundle(read_bundle(old), place, scope="site")

    def action() -> None:
        write_bundle(read_bundle(new), place, scope="site")

    def judge() -> None:
        if place.exists():
            assert bundle_digest(place) in {bundle_digest(old), bundle_digest(new)}
            read_bundle(place)
        else:
            try:
                read_bundle(place)
            except BundleError:
                pass
            else:
                raise AssertionError("read where nothing is")
        restore()
        assert read_bundle(place, digest=bundle_digest(old)) is not None
        left = {path.name for path in folder.iterdir() if not path.name.startswith(".lock")}
        assert left == {"bundle"}, left

    assert _forked(restore) == 0
    return killed_everywhere(action, judge)


def write_in_place(old: Path, new: Path, folder: Path) -> int:
    """Write as `write_over` with a planted fault: files are copied over the old ones."""

    def copied(staged: Path, place: Path, retired: Path) -> None:
        del retired
        shutil.copytree(staged, place, dirs_exist_ok=True)

    bundle.replace_folder = copied
    return write_over(old, new, folder)


def promote_over(old: Path, new: Path, folder: Path) -> int:
    """Promote bundle `new` over the champion `old`: one of both is in force, and all of it."""
    predictions = folder / "predictions.parquet"
    home = folder / "champion"

    def begin() -> None:
        ChampionHistory(home).promote(old, pl.read_parquet(predictions), "first")

    def action() -> None:
        ChampionHistory(home).promote(new, pl.read_parquet(predictions), "second")

    def judge() -> None:
        history = ChampionHistory(home)
        champion = history.current()
        assert champion is not None
        assert champion.digest in {bundle_digest(old), bundle_digest(new)}
        assert champion.out_of_fold.equals(pl.read_parquet(predictions))
        entries = history.entries()
        # What a kill interrupted can be done, and taken back, afterwards.
        action()
        promoted = history.current()
        assert promoted is not None
        assert promoted.digest == bundle_digest(new)
        history.roll_back()
        again = history.current()
        assert again is not None
        assert again.digest == bundle_digest(old)
        assert history.entries()[: len(entries)] == entries

    assert _forked(begin) == 0
    return killed_everywhere(action, judge)


def promote_again(old: Path, new: Path, folder: Path) -> int:
    """Promote the champion in force once more: it never ceases to be in force, and all of it."""
    del new
    predictions = folder / "predictions.parquet"
    home = folder / "champion"

    def action() -> None:
        ChampionHistory(home).promote(old, pl.read_parquet(predictions), "again")

    def judge() -> None:
        champion = ChampionHistory(home).current()
        assert champion is not None
        assert champion.digest == bundle_digest(old)

    assert _forked(action) == 0
    return killed_everywhere(action, judge)


def main() -> None:
    """Run one of them on the folders named."""
    what, *folders = sys.argv[1:]
    old, new, folder = map(Path, folders)
    runs = {
        "bundle": write_over,
        "champion": promote_over,
        "champion_again": promote_again,
        "bundle_in_place": write_in_place,
    }
    sys.stdout.write(str(runs[what](old, new, folder)))


if __name__ == "__main__":
    main()
