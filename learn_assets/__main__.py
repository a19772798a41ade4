"""Command line: `python -m learn_assets` and the entry point `learn-assets`."""

from __future__ import annotations

import sys

from learn_assets.commands.app import run
from learn_assets.private_process import keep_private


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 a run failed, 2 a wrong setting."""
    keep_private()
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
