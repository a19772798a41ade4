"""The modeling benchmark: every contender answers for every model, and epochs stand for epochs."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from learn_assets_tests.benchmark_files import load_benchmark


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return load_benchmark("modeling")


@pytest.mark.slow
def test_every_contender_answers_for_every_model(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    sets, learners = ("count", "contrastive_self"), ("xgboost", "svm")
    words = ["--patients", "90", "--held-out", "60", "--counts", "40", "--dimensions", "8"]
    watches = benchmark.main([*words, "--feature-sets", *sets, "--learners", *learners])
    models = {("age_sex", "elastic_net")} | {
        (name, learner) for name in sets for learner in learners
    }
    assert set(watches) == {"plain", "published", "recommended"}
    for watch in watches.values():
        assert set(watch.aurocs) == models
        assert watch.all_cpu > 0
        assert watch.network_cpu == 0
    assert "times the CPU" in capsys.readouterr().out


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now / 2


def test_seconds_of_some_epochs_are_scaled_to_all_and_nothing_else_is(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(benchmark, "time", clock)
    task = benchmark.made_up_task(benchmark.arguments(["--patients", "60", "--held-out", "40"]), 0)
    before, epoch = 5.0, 1.0

    def contender(asked: Any, learners: tuple[str, ...]) -> dict[tuple[str, str], Any]:
        clock.now += before + ("mlp" in learners) * epoch * asked.epochs
        return {("count", name): np.arange(len(asked.held_out)) for name in learners}

    watch = benchmark.Stopwatch()
    shorter = dataclasses.replace(task, epochs=2)
    benchmark.measure(contender, shorter, ("svm", "mlp"), watch, published=True)
    assert watch.wall == pytest.approx(before)
    assert watch.network_wall == pytest.approx(epoch * benchmark.NETWORK.epochs)
    assert watch.all_cpu == pytest.approx(watch.all_wall / 2)
    assert set(watch.aurocs) == {("count", "svm")}
