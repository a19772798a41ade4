"""The tables benchmark: pandas and the package find the same in the same files."""

from __future__ import annotations

from pathlib import Path

import pytest

from learn_assets_tests.benchmark_files import load_benchmark


@pytest.mark.slow
def test_pandas_finds_the_patients_records_and_counts_of_the_package(tmp_path: Path) -> None:
    benchmark = load_benchmark("tables")
    site = benchmark.make_site(tmp_path / "site", 150)
    plain = benchmark.plain(site, tmp_path / "plain")
    assert plain == benchmark.package(site, tmp_path / "package")
    assert set(plain.records) == set(benchmark.KINDS)
    assert plain.patients > 100
    assert plain.counted == sum(plain.records.values())


def test_contenders_that_disagree_are_not_compared() -> None:
    benchmark = load_benchmark("tables")
    one, other = (benchmark.Made(patients, {}, 0.0) for patients in (1, 2))
    runs = {
        name: benchmark.Run(made, wall=1.0, cpu=1.0, memory=1)
        for name, made in (("plain", one), ("package", other))
    }
    with pytest.raises(SystemExit, match="disagree"):
        benchmark.report(1, 1.0, runs)
