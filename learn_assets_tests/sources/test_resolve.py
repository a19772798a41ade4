"""A synthetic source is generated once for its settings, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from learn_assets import synthetic
from learn_assets.lake import Lake
from learn_assets.sources.ingest import source_fingerprint
from learn_assets.sources.resolve import resolve_source
from learn_assets.study import SyntheticSource, TrinetxSource
from learn_assets_tests.extracts import study_of, write_extract


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds that a site was generated for, by a generator that fails for the seed 13."""
    seeds: list[int] = []

    def write_site(folder: Path, settings: SyntheticSource) -> None:
        write_extract(folder)
        seeds.append(settings.seed)
        if settings.seed == 13:
            raise RuntimeError("killed half way")

    monkeypatch.setattr(synthetic, "write_site", write_site)
    return seeds


def test_generated_once_for_its_settings(generated: list[int], lake: Lake) -> None:
    first = study_of({"format": "synthetic", "patients": 50, "seed": 1})
    second = study_of({"format": "synthetic", "patients": 50, "seed": 2})
    for study in (first, first, second, second):
        source = resolve_source(study, lake)
        assert isinstance(source, TrinetxSource)
        assert (source.folder / "diagnosis.csv").exists()
    assert generated == [1, 2]
    assert source_fingerprint(first, lake, "patient") != source_fingerprint(second, lake, "patient")


def test_a_failed_generation_leaves_no_site(generated: list[int], lake: Lake) -> None:
    study = study_of({"format": "synthetic", "patients": 50, "seed": 13})
    for _ in range(2):
        with pytest.raises(RuntimeError):
            resolve_source(study, lake)
    assert generated == [13, 13]
    assert not (lake.folder("source") / "site").exists()


def test_other_sources_are_the_studys_own(tmp_path: Path, lake: Lake) -> None:
    study = study_of({"format": "trinetx", "folder": tmp_path})
    assert resolve_source(study, lake) is study.source
