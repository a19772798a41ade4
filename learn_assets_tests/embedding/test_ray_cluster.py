"""Ray backend: the same vectors as the local one, whoever of the actors is killed."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from learn_assets.embedding.backends.ray_cluster import RayBackend
from learn_assets.embedding.backends.ray_session import RayClusterError
from learn_assets.embedding.backends.transformers import TransformersBackend
from learn_assets.embedding.encoders import Encoder
from learn_assets.embedding.engine import embed_narratives
from learn_assets.embedding.store import VectorStore
from learn_assets.study.backends import RayOptions
from learn_assets_tests.embedding.actors import DEADLY, HUGE, WRONG, OpenTraced
from learn_assets_tests.embedding.conftest import make_narratives
from learn_assets_tests.embedding.servers import hashed

pytestmark = pytest.mark.slow

CLUSTER = """
import sys
from learn_assets.study.backends import RayOptions
from learn_assets.embedding.backends.ray_session import RaySession
session = RaySession(RayOptions(actors=2))
import ray
print(ray.get_runtime_context().gcs_address, session._folder, flush=True)
sys.stdin.read()
session.close()
"""
TEXTS = [f"secret history of patient {number}" for number in range(6)]


@dataclass(frozen=True)
class Cluster:
    address: str
    folder: Path

    def options(self, **changes: object) -> RayOptions:
        return RayOptions.model_validate({"address": self.address, **changes})


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster with room for two workers, started by another process."""
    # Both processes need the same token, and each reads it only once.
    os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as head:
        assert head.stdin is not None
        assert head.stdout is not None
        address, folder = head.stdout.readline().split()
        yield Cluster(address, Path(folder))
        head.stdin.close()
        assert head.wait(timeout=60) == 0
    assert not Path(folder).exists()


@pytest.fixture
def traced(tmp_path: Path) -> OpenTraced:
    folder = tmp_path / "traces"
    folder.mkdir()
    return OpenTraced(folder)


def embed(narratives: pl.DataFrame, encoder: Encoder, store: VectorStore, backend: Any) -> Any:
    return embed_narratives(
        narratives,
        encoder,
        store,
        overlap_tokens=32,
        task_instruction=False,
        progress=False,
        backend=backend,
        commit_seconds=0.0,
    )


def test_killed_worker_costs_no_vector(cluster: Cluster, minilm: Encoder, tmp_path: Path) -> None:
    local = replace(minilm, dtype="float32")
    narratives = make_narratives(2, longest=20)
    killed: list[int] = []

    class KilledInTheThird(RayBackend):
        calls = 0

        def _run(self, actor: Any, texts: Sequence[str], padded_length: int) -> Any:
            self.calls += 1
            if self.calls == 3:
                killed.append(process_of(actor))
                # Not before the batch is with the actor.
                threading.Timer(0.05, os.kill, (killed[0], signal.SIGKILL)).start()
            return super()._run(actor, texts, padded_length)

    backend = KilledInTheThird(local, cluster.options(), TransformersBackend)
    with closing(backend):
        store = VectorStore(tmp_path / "ray", local.space, local.dimension)
        result = embed(narratives, local, store, lambda _: backend)
    here = VectorStore(tmp_path / "here", local.space, local.dimension)
    expected = embed(narratives, local, here, TransformersBackend)
    assert len(killed) == 1
    assert backend.calls > result.statistics.chunks // 64
    assert result.frame.drop("vector").equals(expected.frame.drop("vector"))
    np.testing.assert_allclose(
        result.frame["vector"].to_numpy(), expected.frame["vector"].to_numpy(), rtol=0, atol=1e-5
    )
    assert store.verify().corrupt == 0


def process_of(actor: Any) -> int:
    """Process id of a living actor, as Ray's own call for any actor tells it."""
    import ray

    return int(ray.get(actor.__ray_call__.remote(lambda self: os.getpid())))


def test_every_actor_works_and_errors_of_the_encoder_pass_through(
    cluster: Cluster, minilm: Encoder, traced: OpenTraced
) -> None:
    with closing(RayBackend(minilm, cluster.options(), replace(traced, seconds=0.2))) as backend:
        assert (backend.concurrency, backend.token_budget) == (2, 512)
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: backend.encode(TEXTS, 16), range(8)))
        assert all(np.array_equal(result, hashed(TEXTS)) for result in results)
        assert len(traced.workers()) == 2
        for text, kind in ((HUGE, RuntimeError), (WRONG, ValueError)):
            with pytest.raises(kind, match=r"out of memory|does not fit 8") as raised:
                backend.encode([*TEXTS, text], 16)
            assert raised.value.__context__ is None
        # An error of the encoder costs no actor.
        np.testing.assert_array_equal(backend.encode(TEXTS, 16), hashed(TEXTS))
        assert len(traced.workers()) == 2
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert cluster.address.startswith("127.0.0.1:")
    assert cluster.folder.stat().st_mode & 0o077 == 0
    written = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert written
    assert not [path.name for path in written if b"secret" in path.read_bytes()]


def test_batch_that_kills_its_actors_is_given_up(
    cluster: Cluster, minilm: Encoder, traced: OpenTraced
) -> None:
    options = cluster.options(actors=1, max_attempts=2, max_restarts=1)
    with closing(RayBackend(minilm, options, traced)) as backend:
        with pytest.raises(RayClusterError, match=r"7 texts.*2 times \(ActorDiedError\)") as raised:
            backend.encode([*TEXTS, DEADLY], 16)
        assert "secret" not in str(raised.value)
        for _ in range(2):
            with pytest.raises(RayClusterError, match="every actor was lost"):
                backend.encode(TEXTS, 16)


def test_silent_actor_counts_as_lost(cluster: Cluster, minilm: Encoder, traced: OpenTraced) -> None:
    options = cluster.options(actors=1, max_attempts=1, batch_seconds=0.2)
    with (
        closing(RayBackend(minilm, options, replace(traced, seconds=60.0))) as backend,
        pytest.raises(RayClusterError, match="GetTimeoutError"),
    ):
        backend.encode(TEXTS, 16)


def test_what_cannot_start_says_why(cluster: Cluster, minilm: Encoder, traced: OpenTraced) -> None:
    with pytest.raises(RayClusterError, match=r"not all of 3 actors.*offers 2 CPUs"):
        RayBackend(minilm, cluster.options(actors=3, start_seconds=5.0), traced)
    (traced.folder / "refuse").touch()
    with pytest.raises(FileNotFoundError, match="no weights on this node"):
        RayBackend(minilm, cluster.options(actors=1), traced)
    with pytest.raises(RayClusterError, match=r"no Ray cluster at 127\.0\.0\.1:9"):
        RayBackend(minilm, RayOptions(address="127.0.0.1:9"), traced)
