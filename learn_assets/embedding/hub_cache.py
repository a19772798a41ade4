"""Hub cache: where huggingface_hub keeps a downloaded model, and how to place one there.

What belongs here: names of folders and the words of a remedy. Nothing here opens a connection or
imports huggingface_hub.
"""

from __future__ import annotations

import os
from pathlib import Path

from learn_assets.embedding.registry import HubWeights


def snapshot_folder(pinned: HubWeights) -> Path:
    """Return the folder in which huggingface_hub keeps a model at one commit, there or not."""
    name = "models--" + pinned.repository.replace("/", "--")
    return cache_folder() / name / "snapshots" / pinned.revision


def cache_folder() -> Path:
    """Return the cache of huggingface_hub, by the same variables in the same order as it reads."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if named := os.environ.get(variable):
            return Path(named).expanduser()
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("HF_HOME") or base).expanduser() / "hub"


def downloaded_commit(folder: Path) -> str | None:
    """Return the commit at which `hf download --local-dir` filled a folder; None if it was not."""
    record = folder / ".cache" / "huggingface" / "download" / "config.json.metadata"
    if not record.exists():
        return None
    lines = record.read_text(encoding="utf-8").splitlines()
    return lines[0].strip() if lines else None


def download_command(pinned: HubWeights, folder: str, *, weights: bool = True) -> str:
    """Return the command that fills a folder, to be run where there is a network.

    Without `weights` it leaves out those: a server has its own.
    """
    excluded = "" if weights else " --exclude '*.safetensors'"
    return (
        f"hf download {pinned.repository} --revision {pinned.revision}{excluded} "
        f"--local-dir {folder}"
    )


def how_to_place(pinned: HubWeights, *, weights: bool = True) -> str:
    """Say, in one line, where a model was looked for and the two ways to place it."""
    return (
        f"{pinned.repository} is not on this machine (looked in {snapshot_folder(pinned)}), and "
        "nothing is downloaded here; where there is a network run `"
        f"{download_command(pinned, 'FOLDER', weights=weights)}`, copy FOLDER to this machine and "
        "write `path: FOLDER` in the study, or leave out --local-dir and copy the cache"
    )
