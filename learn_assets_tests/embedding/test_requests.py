"""Requests: what is asked for on which device, and one sentence for each reason to wait."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from learn_assets.embedding.devices import Devices, Gpu
from learn_assets.embedding.placement import (
    Need,
    NoPlace,
    Place,
    find_place,
    need_of,
    need_of_shape,
    reserve,
)
from learn_assets.embedding.registry import REGISTRY
from learn_assets.embedding.requests import CellState, Decision, History, Rules, decide
from learn_assets.study import EncoderChoice

GIB = 1 << 30
SMALL = Need("here", 2 * GIB, GIB, small=True)
LARGE = Need("here", 20 * GIB, 40 * GIB, small=False)
NOW = 1_000_000.0


def gpu(index: int, free: float) -> Gpu:
    return Gpu(index, "H100", 80 * GIB, int(free * GIB))


def machine(*free: float, memory: float = 8) -> Devices:
    return Devices(tuple(gpu(i, f) for i, f in enumerate(free)), int(memory * GIB))


def cell(encoder: str, window: str = "w1", need: Need = SMALL, **state: Any) -> CellState:
    return CellState(
        f"{encoder}|{window}", encoder, "f" * 64, need=need, **{"current": False, **state}
    )


def decided(*cells: CellState, devices: Devices | None = None, **options: Any) -> Decision:
    slots = {"slots": 3, "free_slots": 3, "now": NOW, **options}
    return decide(cells, devices or machine(), **slots)


def asked(decision: Decision) -> dict[str, str | None]:
    return {request.cell.label: request.device for request in decision.requests}


def test_nothing_stale_nothing_asked_nothing_said() -> None:
    assert decided(cell("a", current=True)) == Decision((), ())


def test_the_study_s_order_is_the_order_of_requests() -> None:
    cells = [cell("heavy"), cell("light"), cell("light", "w2")]
    decision = decided(*cells, free_slots=2)
    assert [request.cell for request in decision.requests] == cells[:2]
    first, second = decision.requests
    assert first.priority > second.priority


def test_a_key_belongs_to_inputs_and_attempt() -> None:
    keys = {
        decided(state).requests[0].key
        for state in (
            cell("a"),
            replace(cell("a"), inputs="0" * 64),
            cell("a", history=History(1, 1, 0.0)),
            cell("a", history=History(2, 1, 0.0)),
            cell("b"),
        )
    }
    assert len(keys) == 5
    assert decided(cell("a")) == decided(cell("a"))


@pytest.mark.parametrize(
    ("state", "options", "why"),
    [
        ({"underway": True}, {}, "a run of it is under way"),
        ({"unready": "its tables are missing"}, {}, "its tables are missing"),
        ({"history": History(4, 4, 0.0)}, {}, "it was tried 4 times in vain"),
        ({"history": History(1, 1, NOW - 10)}, {}, r"1 of 4 times .* again in 5 min"),
        ({"history": History(2, 2, NOW - 570)}, {}, r"2 of 4 times .* again in 30 s"),
        ({}, {"slots": 0, "free_slots": 0}, r"pool `gpu` is closed \(limit 0\)"),
        ({}, {"slots": 2, "free_slots": 0}, "pool `gpu` has no slot left of 2"),
        ({}, {"rules": Rules(most_requests=0)}, "0 runs at a time"),
        ({"need": LARGE}, {}, "this machine has none; a server or cluster"),
        ({"need": LARGE}, {"devices": machine(3, 5)}, r"20\.0 GiB and 3\.0 GiB on GPU 0, 5\.0"),
        (
            {"need": LARGE},
            {"devices": Devices(problem="the NVIDIA driver did not answer within 2 s")},
            "driver did not answer within 2 s",
        ),
        ({}, {"devices": machine(memory=0.5)}, r"the CPU has 0\.5 GiB free and it needs 1\.0"),
        ({}, {"devices": machine(1, memory=0.5)}, r"2\.0 GiB and 1\.0 GiB on GPU 0 .* the CPU has"),
        ({}, {"devices": machine(3), "starting": [SMALL], "memory": 0}, "on GPU 0"),
    ],
)
def test_each_wait_has_its_reason(state: dict[str, Any], options: dict[str, Any], why: str) -> None:
    if options.pop("memory", None) == 0:
        options["devices"] = replace(options["devices"], free_memory=0)
    decision = decided(cell("a", **state), **options)
    assert decision.requests == ()
    (sentence,) = decision.waits
    assert sentence.startswith("a|w1: waits, ")
    assert re.search(why, sentence), sentence


def test_cells_that_wait_for_the_same_reason_share_a_sentence() -> None:
    decision = decided(cell("a", need=LARGE), cell("b", need=LARGE))
    (sentence,) = decision.waits
    assert sentence.startswith("a|w1, b|w1: waits, ")


def test_windows_of_one_encoder_follow_each_other() -> None:
    first = decided(cell("a"), cell("a", "w2"))
    assert asked(first) == {"a|w1": "cpu"}
    assert "another window of this encoder" in first.waits[0]
    later = decided(cell("a", underway=True), cell("a", "w2"), cell("b"))
    assert asked(later) == {"b|w1": "cpu"}


def test_a_cell_that_waits_does_not_hold_up_the_others() -> None:
    failed = History(2, 2, NOW)
    decision = decided(cell("a", history=failed), cell("b", need=LARGE), cell("c"))
    assert asked(decision) == {"c|w1": "cpu"}
    assert len(decision.waits) == 2


def test_pauses_double_to_a_limit_and_end_with_the_attempts() -> None:
    rules = Rules()
    assert [rules.pause(n) for n in (1, 2, 3, 6)] == [300, 600, 1_200, 7_200]
    for failures, seconds in ((1, 300), (2, 600), (3, 1_200)):
        for late, requests in ((-1, 0), (1, 1)):
            history = History(failures, failures, NOW - seconds - late)
            assert len(decided(cell("a", history=history)).requests) == requests
    assert not decided(cell("a", history=History(4, 4, 0.0))).requests
    # What ended well long ago does not count.
    assert decided(cell("a", history=History(9, 1, 0.0))).requests[0].attempt == 10


def test_memory_given_to_one_cell_is_not_given_to_the_next() -> None:
    large = [cell(name, need=LARGE) for name in "abc"]
    decision = decided(*large, devices=machine(45))
    assert list(asked(decision)) == ["a|w1", "b|w1"]
    assert "5.0 GiB on GPU 0" in decision.waits[0]
    after = decided(*large, devices=machine(45), starting=[LARGE])
    assert list(asked(after)) == ["a|w1"]


def test_all_gpus_if_it_fits_on_each_else_the_one_that_has_room() -> None:
    assert find_place(LARGE, machine(30, 30)) == Place(None, "on 2 GPUs")
    assert find_place(LARGE, machine(30)) == Place(None, "on the GPU")
    assert find_place(LARGE, machine(3, 30, 40)) == Place("cuda:2", "on GPU 2 (H100)")
    assert find_place(SMALL, machine(1)) == Place("cpu", "on the CPU")
    assert isinstance(find_place(LARGE, machine(1)), NoPlace)
    assert find_place(Need("server"), machine(memory=0)) == Place(None, "on a server")
    assert find_place(SMALL, Devices()) == Place("cpu", "on the CPU")


def test_what_is_reserved_is_gone_where_it_was_reserved() -> None:
    everywhere = reserve(machine(30, 25), LARGE, Place(None, ""))
    assert [g.free_bytes for g in everywhere.gpus] == [10 * GIB, 5 * GIB]
    one = reserve(machine(30, 25), LARGE, Place("cuda:1", ""))
    assert [g.free_bytes for g in one.gpus] == [30 * GIB, 5 * GIB]
    processor = reserve(machine(30, memory=8), SMALL, Place("cpu", ""))
    assert (processor.free_memory, processor.gpus) == (7 * GIB, machine(30).gpus)
    assert reserve(machine(30), Need("server"), Place(None, "")) == machine(30)


def test_the_needs_of_registered_encoders_are_those_of_their_cards() -> None:
    needs = {
        name: need_of_shape(item.shape, "bfloat16", item.token_limit)
        for name, item in REGISTRY.items()
    }
    # Weights in two bytes, and a batch of 65,536 tokens beside them.
    assert 15 * GIB < needs["qwen3-embedding-8b"].gpu_bytes < 40 * GIB
    assert needs["minilm"].gpu_bytes < 4 * GIB
    assert [name for name, need in needs.items() if need.small] == ["minilm"]
    assert all(need.cpu_bytes < need.gpu_bytes for need in needs.values())


def test_a_study_s_encoder_needs_nothing_here_when_it_runs_elsewhere() -> None:
    server = {"base_url": "http://127.0.0.1:8000/v1", "model": "m", "dtype": "float16"}
    choices = [
        {"id": "qwen3-embedding-8b", "backend": "openai_server", "server": server},
        {"id": "qwen3-embedding-8b", "backend": "ray"},
    ]
    needs = [need_of(EncoderChoice.model_validate(choice)) for choice in choices]
    assert [need.where for need in needs] == ["server", "cluster"]
    assert need_of(EncoderChoice(id="minilm")).small
