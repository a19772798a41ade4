"""Train both models into a folder, killed on the way: `python -m ... FOLDER STEPS`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from learn_assets.subtypes.language import fitting, training
from learn_assets_tests.subtypes.language.made import distinct_texts, quick_options

ADMISSIONS, EPOCHS = 160, 2
# 144 admissions are learned from, 16 a step.
STEPS = 9 * EPOCHS


def run(folder: Path) -> dict[str, Any]:
    """Return the held-out losses of both trainings and the hash of what they made."""
    texts, options = distinct_texts(ADMISSIONS), quick_options()
    masked = fitting.fit_language_model(texts, options, folder / "masked", checkpoint_seconds=0.0)
    contrastive = fitting.fit_contrastive_model(
        texts, options, folder / "masked", folder / "contrastive", checkpoint_seconds=0.0
    )
    return {
        "masked": [look.held_out_loss for look in masked.evaluations],
        "contrastive": [look.held_out_loss for look in contrastive.evaluations],
        "digests": [masked.saved.digest, contrastive.saved.digest],
    }


def die_after(steps: int) -> None:
    """Let this process take so many steps of training, then be killed as by the system."""
    real, left = training._step, iter(range(steps))

    def step(*arguments: Any) -> float:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    training._step = step


if __name__ == "__main__":
    die_after(int(sys.argv[2]))
    run(Path(sys.argv[1]))
