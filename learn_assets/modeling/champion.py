"""Champion: which final models are in force in a cell, and the history of how they came to be.

What belongs here: keeping versions, changing which one is in force in one atomic step, and proving
that neither was altered. Whether a challenger may take over is decided in `challenge.py`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import polars as pl

from learn_assets.digests import file_digest
from learn_assets.modeling.bundle import (
    BundleError,
    TrainedModels,
    bundle_digest,
    holds_models_of,
    read_bundle,
)
from learn_assets.staging import (
    held,
    private_folder,
    replace_folder,
    staged_folder_of_ours,
    write_atomically,
)

Action = Literal["promoted", "kept", "rolled_back"]

_HISTORY = "history.json"
_PREDICTIONS = "out_of_fold.parquet"
_FIRST = "0" * 64


class ChampionError(ValueError):
    """A history or a version that is altered, incomplete or not known; the message says which."""


@dataclass(frozen=True)
class HistoryEntry:
    """One decision about a cell: what is in force after it, what was judged, and why.

    champion, challenger: sha256 of the manifest of a bundle. predictions: sha256 of the champion's
    out-of-fold predictions. previous: sha256 of the entry before, so that none can be changed or
    dropped without a trace; the file ends with that of the last.
    """

    action: Action
    champion: str
    predictions: str
    challenger: str
    reason: str
    decided_at: str
    previous: str

    @property
    def version(self) -> str:
        """Name of the folder that holds the champion."""
        return f"{self.champion[:16]}-{self.predictions[:16]}"


@dataclass(frozen=True)
class Champion:
    """The models in force and what was predicted out of fold for the patients they learned from.

    out_of_fold: rows of `cross_validation`; its patients are those the models were trained on.
    """

    digest: str
    models: TrainedModels
    out_of_fold: pl.DataFrame


class ChampionHistory:
    """The versions and the history of one cell, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entries(self) -> tuple[HistoryEntry, ...]:
        """Return every decision, oldest first. ChampionError when an entry was altered."""
        path = self._folder / _HISTORY
        if not path.exists():
            return ()
        try:
            content = json.loads(path.read_text("utf-8"))
            entries = [HistoryEntry(**entry) for entry in content["entries"]]
        except (ValueError, TypeError, KeyError) as error:
            raise ChampionError(f"{_HISTORY} cannot be read; restore it from a backup") from error
        expected = [_FIRST, *(_sha256_of(entry) for entry in entries)]
        found = [*(entry.previous for entry in entries), content.get("latest")]
        wrong = [
            number
            for number, pair in enumerate(zip(expected, found, strict=True))
            if pair[0] != pair[1]
        ]
        if wrong:
            raise ChampionError(
                f"{_HISTORY}: entry {wrong[0]} was altered or one after it is missing; restore the "
                "history from a backup"
            )
        return tuple(entries)

    def current(self) -> Champion | None:
        """Return the champion after checking all of it, None before the first.

        ChampionError, and BundleError for its models, when a file is missing or altered.
        """
        entries = self.entries()
        return self._read(entries[-1]) if entries else None

    def withdrawn(self) -> frozenset[str]:
        """Return digests that a person rolled back and nobody has put in force again."""
        out: set[str] = set()
        for entry in self.entries():
            if entry.action == "rolled_back":
                out.add(entry.challenger)
            if entry.action != "kept":
                out.discard(entry.champion)
        return frozenset(out)

    def learned_from(self, bundle: Path) -> frozenset[str]:
        """Return the ids of the patients that a bundle made from a champion of this cell saw.

        Empty when no champion of this cell has these models. ChampionError when one was altered.
        """
        patients: set[str] = set()
        for entry in {entry.version: entry for entry in self.entries()}.values():
            if holds_models_of(self._folder / "versions" / entry.version / "bundle", bundle):
                patients.update(self._read(entry).out_of_fold["patient_id"])
        return frozenset(patients)

    def promote(self, bundle: Path, out_of_fold: pl.DataFrame, reason: str) -> HistoryEntry:
        """Put a site bundle in force with the out-of-fold predictions of its training patients.

        The version is written first and the history last, in one rename, so a kill in between
        leaves the champion that was.
        """
        digest = bundle_digest(bundle)
        with self._alone():
            predictions = self._write_version(bundle, digest, out_of_fold)
            return self._append("promoted", digest, predictions, digest, reason)

    def keep(self, challenger: str, reason: str) -> HistoryEntry:
        """Record that a challenger was judged and not put in force; once, however often it runs."""
        with self._alone():
            last = self.entries()[-1]
            told = (last.action, last.challenger, last.reason) == ("kept", challenger, reason)
            if told:
                return last
            return self._append("kept", last.champion, last.predictions, challenger, reason)

    def roll_back(self, to: str | None = None) -> HistoryEntry:
        """Put an earlier champion in force again and withdraw the present one.

        to: the digest, or its first digits; None is the champion before this one. ChampionError
        when there is none, and when its files are not what they were.
        """
        with self._alone():
            entries = self.entries()
            target = _earlier(entries, to)
            self._read(target)
            present = entries[-1].champion
            return self._append(
                "rolled_back",
                target.champion,
                target.predictions,
                present,
                f"a person withdrew {present[:12]}",
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        private_folder(self._folder)
        with held(self._folder):
            yield

    def _read(self, entry: HistoryEntry) -> Champion:
        version = self._folder / "versions" / entry.version
        return _read_version(version, entry.champion, entry.predictions)

    def _write_version(self, bundle: Path, digest: str, out_of_fold: pl.DataFrame) -> str:
        versions = self._folder / "versions"
        private_folder(versions)
        with staged_folder_of_ours(versions) as staged:
            version = staged / "version"
            shutil.copytree(bundle, version / "bundle")
            out_of_fold.write_parquet(version / _PREDICTIONS)
            # What was copied is what is announced: the folder may have been rewritten meanwhile.
            read_bundle(version / "bundle", digest=digest)
            predictions = file_digest(version / _PREDICTIONS)
            target = versions / f"{digest[:16]}-{predictions[:16]}"
            # The version in force may be promoted again, and a kill must not lose it.
            if not _is_whole(target, digest, predictions):
                replace_folder(version, target, staged / "retired")
        return predictions

    def _append(
        self, action: Action, champion: str, predictions: str, challenger: str, reason: str
    ) -> HistoryEntry:
        entries = self.entries()
        entry = HistoryEntry(
            action=action,
            champion=champion,
            predictions=predictions,
            challenger=challenger,
            reason=reason,
            decided_at=datetime.now(UTC).isoformat(timespec="seconds"),
            previous=_sha256_of(entries[-1]) if entries else _FIRST,
        )
        _replace_history(self._folder / _HISTORY, (*entries, entry))
        return entry


def champion_digest(folder: Path) -> str | None:
    """Return the digest in force without reading its models; None before the first champion."""
    entries = ChampionHistory(folder).entries()
    return entries[-1].champion if entries else None


def _read_version(version: Path, digest: str, predictions: str) -> Champion:
    path = version / _PREDICTIONS
    if not path.is_file() or file_digest(path) != predictions:
        raise ChampionError(
            f"version {version.name}: {_PREDICTIONS} is missing or altered; restore it from a "
            "backup or roll back to another version"
        )
    models = read_bundle(version / "bundle", digest=digest)
    return Champion(digest, models, pl.read_parquet(path, glob=False))


def _is_whole(version: Path, digest: str, predictions: str) -> bool:
    try:
        _read_version(version, digest, predictions)
    except (ChampionError, BundleError):
        return False
    return True


def _earlier(entries: tuple[HistoryEntry, ...], to: str | None) -> HistoryEntry:
    if not entries:
        raise ChampionError("this cell has no champion yet; materialize it first")
    present = entries[-1].champion
    others = [entry for entry in entries if entry.champion != present]
    if to is not None:
        others = [entry for entry in others if entry.champion.startswith(to)]
    if len({entry.champion for entry in others}) > 1 and to is not None:
        raise ChampionError(f"more than one earlier champion starts with {to}; write more digits")
    if not others:
        wanted = "no earlier champion" if to is None else f"no earlier champion {to}"
        raise ChampionError(f"{wanted} in the history of this cell; in force is {present[:12]}")
    return others[-1]


def _replace_history(path: Path, entries: tuple[HistoryEntry, ...]) -> None:
    listed = {"entries": [asdict(entry) for entry in entries], "latest": _sha256_of(entries[-1])}
    write_atomically(path, json.dumps(listed, indent=1))


def _sha256_of(entry: HistoryEntry) -> str:
    return hashlib.sha256(json.dumps(asdict(entry), sort_keys=True).encode()).hexdigest()
