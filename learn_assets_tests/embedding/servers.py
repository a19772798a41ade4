"""Servers: a real HTTP server on loopback with an OpenAI-compatible endpoint, and its faults."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.backends.transformers import TransformersBackend
from learn_assets.embedding.batching import padded_length
from learn_assets.embedding.chunking import load_tokenizer
from learn_assets.embedding.encoders import Encoder
from learn_assets.study.backends import ServerOptions
from learn_assets_tests.embedding.fakes import fake_vector

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Reply:
    """What the server answers instead of vectors."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


# Called with the number of the request (from 0) and its texts; None lets it be answered as asked.
Fault = Callable[[int, list[str]], Reply | None]


class EmbeddingServer:
    """Serves one model; remembers the texts and headers it got and how many requests were open."""

    def __init__(
        self,
        embed: Embed,
        *,
        fault: Fault = lambda number, texts: None,
        models: Sequence[str] | None = ("tiny",),
        seconds: float = 0.0,
        shuffled: bool = False,
        tokens: Callable[[Sequence[str]], int] | None = None,
    ) -> None:
        self.requests: list[list[str]] = []
        self.headers: list[dict[str, str]] = []
        self.answered: list[str] = []
        self.most_open = 0
        self._embed = embed
        self._fault = fault
        self._models = models
        self._seconds = seconds
        self._shuffled = shuffled
        self._tokens = tokens
        self._open = 0
        self._lock = threading.Lock()
        self._vanished = False
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def options(self, **changes: object) -> ServerOptions:
        """Return options for this server, impatient enough for a test."""
        quick = {"first_pause_seconds": 0.01, "timeout_seconds": 20.0, "retries": 2}
        given = {"base_url": self.url, "model": "tiny", "dtype": "float32", **quick, **changes}
        return ServerOptions.model_validate(given)

    def vanish(self) -> None:
        """Stop listening, and answer nothing that is still open."""
        self._vanished = True
        threading.Thread(target=self._http.shutdown).start()
        self._http.socket.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def reply(self, texts: list[str]) -> Reply | None:
        with self._lock:
            number = len(self.requests)
            self.requests.append(texts)
            self._open += 1
            self.most_open = max(self.most_open, self._open)
        time.sleep(self._seconds)
        planted = self._fault(number, texts)
        with self._lock:
            self._open -= 1
            if self._vanished:
                return None
            if planted is None or (planted.body is None and planted.status == 200):
                self.answered.extend(texts)
        return planted or Reply(body=self._answer(texts))

    def _answer(self, texts: list[str]) -> dict[str, Any]:
        items = [
            {"object": "embedding", "index": index, "embedding": vector.tolist()}
            for index, vector in enumerate(self._embed(texts))
        ]
        answer: dict[str, Any] = {"object": "list", "model": "tiny", "data": items}
        if self._shuffled:
            items.reverse()
        if self._tokens is not None:
            answer["usage"] = {"prompt_tokens": self._tokens(texts)}
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if server._models is None or self.path != "/v1/models":
                    self._send(Reply(404, {"error": "no such page"}))
                else:
                    data = [{"id": name, "object": "model"} for name in server._models]
                    self._send(Reply(body={"object": "list", "data": data}))

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.headers.append({k.lower(): v for k, v in self.headers.items()})
                reply = server.reply(request["input"])
                if reply is None:
                    self.close_connection = True
                    return
                self._send(reply)

            def _send(self, reply: Reply) -> None:
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body)
                content = body if isinstance(body, bytes) else body.encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def hashed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return vectors that cost nothing, of MiniLM's dimension."""
    return np.stack([fake_vector(text, 384) for text in texts])


def served_minilm(encoder: Encoder) -> Embed:
    """Return MiniLM in float32 as a server would run it: one batch padded to its longest text."""
    backend = TransformersBackend(replace(encoder, dtype="float32"))
    tokenizer = load_tokenizer(encoder.folder)
    lock = threading.Lock()

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        longest = max(len(tokenizer.encode(text).ids) for text in texts)
        with lock:
            return backend.encode(texts, padded_length(longest, encoder.token_limit))

    return embed
