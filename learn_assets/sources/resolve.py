"""Which extract a study reads: its own, or a synthetic one that is made on first use."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from learn_assets.lake import Lake
from learn_assets.staging import replace_folder
from learn_assets.study import MedsSource, OmopSource, Study, SyntheticSource, TrinetxSource

# What can be read; a synthetic source becomes one of these.
ExtractSource = TrinetxSource | OmopSource | MedsSource

_SETTINGS = "settings.json"


def resolve_source(study: Study, lake: Lake) -> ExtractSource:
    """Return the study's extract; a synthetic one is generated once for its settings."""
    if not isinstance(study.source, SyntheticSource):
        return study.source
    folder = lake.folder("source") / "site"
    with _one_at_a_time(lake):
        if not _is_generated(folder, study.source):
            _generate(folder, study.source, lake)
    return synthetic_layout(folder)


def synthetic_layout(folder: Path) -> TrinetxSource:
    """Return a generated site as the TriNetX download it imitates."""
    score = folder / "genetic_score.csv"
    care_site = folder / "care_site.csv"
    rxnorm = folder / "rxnorm"
    return TrinetxSource(
        format="trinetx",
        folder=folder,
        genetic_score=score if score.exists() else None,
        care_site=care_site if care_site.exists() else None,
        rxnorm=rxnorm if rxnorm.exists() else None,
    )


def _is_generated(folder: Path, settings: SyntheticSource) -> bool:
    marker = folder / _SETTINGS
    return marker.exists() and marker.read_text(encoding="utf-8") == settings.model_dump_json()


def _generate(folder: Path, settings: SyntheticSource, lake: Lake) -> None:
    from learn_assets.synthetic import write_site

    with lake.staging() as staging:
        made = staging / "site"
        write_site(made, settings)
        (made / _SETTINGS).write_text(settings.model_dump_json(), encoding="utf-8")
        replace_folder(made, folder, staging / "previous")


@contextmanager
def _one_at_a_time(lake: Lake) -> Iterator[None]:
    """Hold a lock of the lake, since several raw tables may ask for the site at once."""
    with (lake.folder("source") / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
