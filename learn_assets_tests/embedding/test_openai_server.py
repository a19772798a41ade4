"""OpenAI server backend: the vectors of the local one, and every way a server can fail."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learn_assets.embedding.backends.openai_server import EmbeddingServerError, OpenAIServerBackend
from learn_assets.embedding.chunking import load_tokenizer
from learn_assets.embedding.encoders import Encoder
from learn_assets.embedding.engine import embed_narratives
from learn_assets.embedding.store import VectorStore
from learn_assets_tests.embedding.conftest import make_narratives
from learn_assets_tests.embedding.servers import (
    EmbeddingServer,
    Fault,
    Reply,
    hashed,
    served_minilm,
)

TEXTS = [f"secret history of patient {number}" for number in range(10)]


def encode(encoder: Encoder, server: EmbeddingServer, **options: object) -> np.ndarray[Any, Any]:
    return OpenAIServerBackend(encoder, server.options(**options)).encode(TEXTS, 16)


def always(reply: Reply) -> Fault:
    return lambda number, texts: reply


def first(times: int, reply: Reply) -> Fault:
    return lambda number, texts: reply if number < times else None


def answer(**changes: object) -> Reply:
    """A whole answer for one request of TEXTS, with something changed."""
    data = [{"index": i, "embedding": v.tolist()} for i, v in enumerate(hashed(TEXTS))]
    return Reply(body={"data": data, **changes})


@pytest.mark.slow
def test_vectors_are_those_of_the_local_backend(minilm: Encoder, tmp_path: Path) -> None:
    narratives = make_narratives(3, longest=20)
    local = replace(minilm, dtype="float32")

    def frame(name: str, **arguments: Any) -> Any:
        store = VectorStore(tmp_path / name, local.space, local.dimension)
        return embed_narratives(
            narratives,
            local,
            store,
            overlap_tokens=32,
            task_instruction=True,
            progress=False,
            **arguments,
        ).frame

    with EmbeddingServer(served_minilm(minilm), shuffled=True) as server:
        options = server.options(texts_per_request=5)
        served = frame("served", backend=lambda encoder: OpenAIServerBackend(encoder, options))
        assert max(map(len, server.requests)) <= 5
    here = frame("local")
    np.testing.assert_allclose(
        served["vector"].to_numpy(), here["vector"].to_numpy(), rtol=0, atol=1e-5
    )
    assert served.drop("vector").equals(here.drop("vector"))


def test_order_is_that_of_the_indices(minilm: Encoder) -> None:
    with EmbeddingServer(hashed, shuffled=True) as server:
        np.testing.assert_allclose(encode(minilm, server), hashed(TEXTS), atol=1e-6)


def test_requests_stay_within_tokens_and_texts(minilm: Encoder) -> None:
    with EmbeddingServer(hashed) as server:
        encode(minilm, server, token_budget=64)
        encode(minilm, server, texts_per_request=3)
        assert [len(texts) for texts in server.requests] == [4, 4, 2, 3, 3, 3, 1]


def test_vectors_are_scaled_only_when_the_encoder_says_so(minilm: Encoder) -> None:
    def doubled(texts: Any) -> Any:
        return 2 * hashed(texts)

    with EmbeddingServer(doubled) as server:
        np.testing.assert_allclose(encode(minilm, server), hashed(TEXTS), atol=1e-6)
        plain = replace(minilm, normalized=False)
        np.testing.assert_allclose(encode(plain, server), doubled(TEXTS), atol=1e-6)


@pytest.mark.parametrize("status", [429, 503, 500, 408])
def test_what_passes_is_tried_again(minilm: Encoder, status: int) -> None:
    with EmbeddingServer(hashed, fault=first(2, Reply(status, {"error": "busy"}))) as server:
        np.testing.assert_allclose(encode(minilm, server), hashed(TEXTS), atol=1e-6)
        assert len(server.requests) == 3


def test_the_pause_that_a_server_asks_for_is_kept(minilm: Encoder) -> None:
    busy = Reply(429, {}, {"retry-after": "1"})
    with EmbeddingServer(hashed, fault=first(1, busy)) as server:
        backend = OpenAIServerBackend(minilm, server.options())
        began = time.monotonic()
        backend.encode(TEXTS, 16)
        assert time.monotonic() - began >= 1.0


def test_a_server_that_keeps_failing_is_given_up(minilm: Encoder) -> None:
    with EmbeddingServer(hashed, fault=always(Reply(500, {"error": TEXTS[0]}))) as server:
        with pytest.raises(EmbeddingServerError, match=r"127.*status 500.*after 3 attempts"):
            encode(minilm, server)
        assert len(server.requests) == 3


def test_a_silent_server_is_not_waited_for(minilm: Encoder) -> None:
    with EmbeddingServer(hashed, seconds=3.0) as server:
        began = time.monotonic()
        with pytest.raises(EmbeddingServerError, match=r"no answer within 0\.2 s.*2 attempts"):
            encode(minilm, server, timeout_seconds=0.2, retries=1)
        assert time.monotonic() - began < 2.5


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(400, {"error": {"message": f"input: {TEXTS[3]}"}}), "status 400"),
        (Reply(401, {}), "api_key_variable"),
        (Reply(404, {}), "base_url"),
        (Reply(307, {}, {"location": "http://127.0.0.1:9/v1/embeddings"}), "redirect"),
        (Reply(413, {}), r"too large \(1 texts"),
        (Reply(body=b"<html>welcome</html>"), "not a list of embeddings"),
        (Reply(body=[]), "not a list of embeddings"),
        (answer(data=[]), "10 texts with 0 vectors"),
        (answer(data=answer().body["data"][:-1]), "10 texts with 9 vectors"),  # type: ignore[index]
        (answer(data=[{"index": 0, "embedding": [1.0] * 384}] * 10), "indices"),
        (answer(data=[{"index": i, "embedding": [1.0] * 383} for i in range(10)]), "dimension 384"),
        (answer(data=[{"index": i, "embedding": [1.0] * i} for i in range(10)]), "list of numbers"),
        (answer(data=[{"index": i, "embedding": "AAAA"} for i in range(10)]), "list of numbers"),
        (answer(data=[{"embedding": [1.0] * 384} for i in range(10)]), "an index"),
        (answer(data=[{"index": i, "embedding": [None] * 384} for i in range(10)]), "not finite"),
        (answer(data=[{"index": i, "embedding": [1e39] * 384} for i in range(10)]), "not finite"),
        (answer(data=[{"index": i, "embedding": [0.0] * 384} for i in range(10)]), "a length"),
        (answer(usage={"prompt_tokens": 20}), "read 20 of 50 tokens"),
    ],
)
def test_a_wrong_answer_is_refused_at_once_without_telling_what_was_sent(
    minilm: Encoder, reply: Reply, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with EmbeddingServer(hashed, fault=always(reply)) as server:
        with pytest.raises(EmbeddingServerError, match=message) as raised:
            encode(minilm, server)
        assert server.url in str(raised.value)
        assert len(server.requests) == (5 if reply.status == 413 else 1)
    assert raised.value.__context__ is None
    told = "".join(traceback.format_exception(raised.value)) + caplog.text
    assert "secret" not in told


def test_token_counts_with_and_without_special_tokens_are_accepted(minilm: Encoder) -> None:
    tokenizer = load_tokenizer(minilm.folder)

    def count(special: bool) -> Callable[[Any], int]:
        return lambda texts: sum(
            len(tokenizer.encode(text, add_special_tokens=special).ids) for text in texts
        )

    for special in (True, False):
        with EmbeddingServer(hashed, tokens=count(special)) as server:
            encode(minilm, server)
    with EmbeddingServer(hashed, tokens=lambda texts: 1) as server:
        encode(minilm, server, check_token_count=False)


@pytest.mark.parametrize(
    "refusal", [Reply(413, {}), Reply(500, {"error": "CUDA out of memory. Tried to allocate"})]
)
def test_requests_that_are_too_large_are_halved_and_stay_small(
    minilm: Encoder, refusal: Reply
) -> None:
    def at_most_three(number: int, texts: list[str]) -> Reply | None:
        return refusal if len(texts) > 3 else None

    with EmbeddingServer(hashed, fault=at_most_three) as server:
        backend = OpenAIServerBackend(minilm, server.options())
        for _ in range(2):
            np.testing.assert_allclose(backend.encode(TEXTS, 16), hashed(TEXTS), atol=1e-6)
        assert [len(texts) for texts in server.requests][:3] == [10, 5, 3]
        assert sum(len(texts) > 3 for texts in server.requests) == 3


def test_no_more_requests_are_open_than_allowed(minilm: Encoder) -> None:
    with EmbeddingServer(hashed, seconds=0.05) as server:
        backend = OpenAIServerBackend(minilm, server.options(concurrency=3, texts_per_request=2))
        with ThreadPoolExecutor(12) as pool:
            vectors = list(pool.map(lambda _: backend.encode(TEXTS, 16), range(12)))
        assert server.most_open == backend.concurrency == 3
    for result in vectors:
        np.testing.assert_allclose(result, hashed(TEXTS), atol=1e-6)


def test_nothing_of_the_vendor_or_this_machine_is_sent(
    minilm: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "vendor-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("SITE_KEY", "site-secret")
    with EmbeddingServer(hashed) as server:
        encode(minilm, server)
        encode(minilm, server, api_key_variable="SITE_KEY")
        without, with_key = server.headers
    assert "authorization" not in without
    assert with_key["authorization"] == "Bearer site-secret"
    assert "vendor-secret" not in str(server.headers)
    assert not any(name.startswith("x-stainless") for name in without)


def test_a_key_that_is_not_set_is_named(minilm: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SITE_KEY", raising=False)
    with (
        EmbeddingServer(hashed) as server,
        pytest.raises(EmbeddingServerError, match="SITE_KEY is not set"),
    ):
        encode(minilm, server, api_key_variable="SITE_KEY")


def test_the_model_is_checked_at_the_start(minilm: Encoder) -> None:
    with (
        EmbeddingServer(hashed, models=("large", "small")) as server,
        pytest.raises(EmbeddingServerError, match=r"no model `tiny`.*large, small"),
    ):
        OpenAIServerBackend(minilm, server.options())
    for models in (("tiny:latest",), None):
        with EmbeddingServer(hashed, models=models) as server:
            encode(minilm, server)


def test_no_server_at_the_address_is_said_at_the_start(minilm: Encoder) -> None:
    with EmbeddingServer(hashed) as server:
        options = server.options()
    with pytest.raises(EmbeddingServerError, match=r"cannot be reached \(ConnectError\).*start"):
        OpenAIServerBackend(minilm, options)


def test_closing_ends_the_wait_for_another_attempt(minilm: Encoder) -> None:
    with EmbeddingServer(hashed, fault=always(Reply(503, {}))) as server:
        backend = OpenAIServerBackend(minilm, server.options(first_pause_seconds=60.0, retries=5))
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(backend.encode, TEXTS, 16)
            deadline = time.monotonic() + 20
            while not server.requests and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.1)
            backend.close()
            with pytest.raises(EmbeddingServerError, match="closed"):
                call.result(timeout=20)


def test_a_run_whose_server_vanishes_is_resumed_where_it_was(
    minilm: Encoder, store: VectorStore
) -> None:
    narratives = make_narratives(6, longest=40)

    def embed(server: EmbeddingServer, into: VectorStore) -> Any:
        return embed_narratives(
            narratives,
            minilm,
            into,
            overlap_tokens=32,
            task_instruction=False,
            progress=False,
            backend=lambda encoder: OpenAIServerBackend(
                encoder, server.options(token_budget=512, concurrency=2)
            ),
            commit_seconds=0.0,
        )

    def vanish(number: int, texts: list[str]) -> None:
        if number == 6:
            dying.vanish()

    with (
        EmbeddingServer(hashed, fault=vanish) as dying,
        pytest.raises(EmbeddingServerError) as gone,
    ):
        embed(dying, store)
    assert "cannot be reached" in str(gone.value)
    reopened = VectorStore(store.folder.parent, minilm.space, minilm.dimension)
    assert reopened.verify().corrupt == 0
    committed = len(reopened)
    assert 0 < committed <= len(dying.answered)

    with EmbeddingServer(hashed) as server:
        result = embed(server, reopened)
        assert result.statistics.reused == committed
        assert len(server.answered) == result.statistics.chunks - committed
        fresh = VectorStore(store.folder.parent / "fresh", minilm.space, minilm.dimension)
        assert result.frame.equals(embed(server, fresh).frame)
