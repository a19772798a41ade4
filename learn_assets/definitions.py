"""The only entry point: Definitions of the study named by LEARN_STUDY (default: demo)."""

import os
from typing import Any

import dagster as dg

from learn_assets.defs.loading import scaffolded_definitions, study_definitions
from learn_assets.defs.resources import DevicesResource, LakeResource
from learn_assets.defs.terminal import LOGGER, terminal_logger
from learn_assets.private_process import keep_private
from learn_assets.study.file import AnyStudy, load_study


def build_definitions(
    study: AnyStudy, resource_overrides: dict[str, Any] | None = None
) -> dg.Definitions:
    """Return a fresh Definitions for a study; tests pass other resources instead of patching."""
    resources = {
        "lake": LakeResource(study_name=study.name, home=str(study.lake.home)),
        "devices": DevicesResource(),
        **(resource_overrides or {}),
    }
    ways = dg.Definitions(
        resources=resources,
        executor=dg.in_process_executor,
        loggers={LOGGER: terminal_logger},
    )
    return dg.Definitions.merge(study_definitions(study), scaffolded_definitions(), ways)


@dg.definitions
def defs() -> dg.Definitions:
    """Return the Definitions that the UI, the daemon and `dg` load."""
    keep_private()
    return build_definitions(load_study(os.environ.get("LEARN_STUDY", "demo")))
