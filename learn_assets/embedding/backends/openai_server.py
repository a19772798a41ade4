"""OpenAI server backend: any OpenAI-compatible embeddings endpoint (vLLM, TEI, Infinity, Ollama).

What belongs here: sending texts, trying again, and what is said when it fails. What an answer must
hold is in `server_answers.py`.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.backends.server_answers import (
    AnswerError,
    TokenCounter,
    read_models,
    read_vectors,
)
from learn_assets.embedding.encoders import Encoder
from learn_assets.study.backends import ServerOptions, is_loopback

if TYPE_CHECKING:
    import httpx
    import openai

_CONNECT_SECONDS = 10.0
_PASSING = frozenset((408, 409, 425, 429))
_NOT_OFFERED = frozenset((404, 405, 501))
_SENT_HEADERS = frozenset(
    ("accept", "accept-encoding", "connection", "content-length", "content-type", "host")
)

_log = logging.getLogger(__name__)
_draw = secrets.SystemRandom()


class EmbeddingServerError(RuntimeError):
    """The endpoint cannot be used; names it and the remedy, never a text, a vector or an answer."""


@dataclass(frozen=True)
class _Refusal:
    """Why a request brought no answer, and whether trying again or sending less may help."""

    reason: str
    remedy: str
    passing: bool = False
    too_large: bool = False
    status: int = 0
    pause: float = 0.0


class OpenAIServerBackend:
    """An encoder that runs behind an OpenAI-compatible endpoint.

    Texts go out in requests of at most `token_budget` padded tokens and `texts_per_request` texts,
    at most `concurrency` at once however many threads call. What passes (no connection, time-out,
    429, 5xx) is tried again after random pauses that double; a request that is too large is halved,
    and the smaller size is kept. Errors are never chained to the client's own: those may quote what
    was sent.
    """

    def __init__(self, encoder: Encoder, options: ServerOptions) -> None:
        """Connect, and check the model's name where the endpoint lists its models.

        EmbeddingServerError when the client is not installed, the key's variable is not set, the
        endpoint does not answer or has no such model.
        """
        self.token_budget = options.token_budget
        self.concurrency = options.concurrency
        self._encoder = encoder
        self._options = options
        self._texts_per_request = options.texts_per_request
        self._slots = threading.BoundedSemaphore(options.concurrency)
        self._closed = threading.Event()
        self._counter = TokenCounter(encoder) if options.check_token_count else None
        self._client = _open_client(options)
        try:
            self._check_model()
        except BaseException:
            self.close()
            raise

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        """Return vectors (n, d) float32 in the order of the texts, scaled as the encoder says.

        EmbeddingServerError when the endpoint gave up, was given up, or answered with anything but
        one finite vector of the encoder's dimension a text.
        """
        vectors = np.empty((len(texts), self._encoder.dimension), dtype=np.float32)
        start = 0
        while start < len(texts):
            # Asked anew each time: another thread may have learned that requests were too large.
            stop = start + min(self._texts_per_request, max(1, self.token_budget // padded_length))
            vectors[start:stop] = self._embed(texts[start:stop], padded_length)
            start = stop
        return vectors

    def close(self) -> None:
        """Close the connections; a call that waits to try again ends with an error."""
        self._closed.set()
        self._client.close()

    def _embed(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        answer = self._persist(lambda: self._post(texts))
        if not isinstance(answer, _Refusal):
            return self._vectors(answer, texts)
        if not answer.too_large or len(texts) == 1:
            raise self._error(
                f"{answer.reason} ({len(texts)} texts of up to {padded_length} tokens)",
                answer.remedy,
            )
        middle = (len(texts) + 1) // 2
        self._texts_per_request = min(self._texts_per_request, middle)
        halves = (texts[:middle], texts[middle:])
        return np.concatenate([self._embed(half, padded_length) for half in halves])

    def _vectors(self, answer: bytes, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        problem = ""
        try:
            read = read_vectors(answer, len(texts), self._encoder)
            if self._counter is not None:
                self._counter.check(read.tokens, texts)
        except AnswerError as error:
            problem = str(error)
        if problem:
            raise self._error(
                problem,
                f"check that the endpoint serves this encoder whole: dimension "
                f"{self._encoder.dimension}, {self._encoder.token_limit} tokens",
            )
        return read.vectors

    def _check_model(self) -> None:
        answer = self._persist(self._list_models)
        if isinstance(answer, _Refusal):
            if answer.status in _NOT_OFFERED:
                _log.info("%s does not list its models; the name is not checked", self._endpoint)
                return
            raise self._error(answer.reason, answer.remedy)
        served = read_models(answer)
        if served is None:
            raise self._error(
                "its list of models is not that of an OpenAI-compatible endpoint",
                "write `base_url` as the server's documents do; most end in /v1",
            )
        wanted = self._options.model
        # Ollama lists a model with its tag and knows it without.
        if not {wanted, f"{wanted}:latest"} & set(served):
            shown = ", ".join(served[:10]) or "none"
            raise self._error(
                f"it has no model `{wanted}`", f"write one of its names as `model` ({shown})"
            )

    def _list_models(self) -> bytes:
        import httpx

        return self._client.get("/models", cast_to=httpx.Response).content

    def _post(self, texts: Sequence[str]) -> bytes:
        import httpx

        # The client's own reading of answers would take base64 and build an object a number.
        body = {"input": list(texts), "model": self._options.model, "encoding_format": "float"}
        return self._client.post("/embeddings", body=body, cast_to=httpx.Response).content

    def _persist(self, request: Callable[[], bytes]) -> bytes | _Refusal:
        """Return the body of the answer, or why there is none after the last attempt."""
        attempts = self._options.retries + 1
        for attempt in range(1, attempts + 1):
            if self._closed.is_set():
                break
            with self._slots:
                answer = self._attempt(request)
            if not isinstance(answer, _Refusal) or not answer.passing:
                return answer
            if attempt == attempts:
                reason = f"{answer.reason}; given up after {attempts} attempts"
                return _Refusal(reason, answer.remedy)
            pause = max(self._pause(attempt), min(answer.pause, self._options.timeout_seconds))
            _log.warning(
                "%s: %s; attempt %d of %d follows in %.1f s",
                *(self._endpoint, answer.reason, attempt + 1, attempts, pause),
            )
            self._closed.wait(pause)
        return _Refusal("the backend was closed", "embed within one run of the backend")

    def _attempt(self, request: Callable[[], bytes]) -> bytes | _Refusal:
        import openai

        try:
            return request()
        except openai.APITimeoutError:
            return _Refusal(
                f"no answer within {self._options.timeout_seconds:g} s",
                "see whether the server is overloaded; a smaller `token_budget`, a lower "
                "`concurrency` or a longer `timeout_seconds` help",
                passing=True,
            )
        except openai.APIConnectionError as error:
            return _Refusal(
                f"cannot be reached ({type(error.__cause__ or error).__name__})",
                "start the server, or correct `base_url`; what was embedded is kept, so run again",
                passing=True,
            )
        except openai.APIStatusError as error:
            return _refusal_of_status(error.response, self._options)

    def _pause(self, attempt: int) -> float:
        first, longest = self._options.first_pause_seconds, self._options.longest_pause_seconds
        most = min(longest, first * 2 ** (attempt - 1))
        return _draw.uniform(most / 2, most)

    @property
    def _endpoint(self) -> str:
        return f"embedding server {self._options.base_url}"

    def _error(self, reason: str, remedy: str) -> EmbeddingServerError:
        return EmbeddingServerError(f"{self._endpoint}: {reason}; {remedy}")


def _refusal_of_status(response: httpx.Response, options: ServerOptions) -> _Refusal:
    """Say what a status means. Of the body only whether it speaks of memory: it may quote texts."""
    status = response.status_code
    reason = f"status {status}"
    if "out of memory" in response.text.lower():
        return _Refusal(
            f"{reason}, out of memory", "give the server less per request", too_large=True
        )
    if status == 413:
        return _Refusal(f"{reason}, too large", "raise the server's limits", too_large=True)
    if status in _PASSING or (status >= 500 and status not in _NOT_OFFERED):
        remedy = "the server's own log says why; what was embedded is kept, so run again"
        return _Refusal(reason, remedy, passing=True, status=status, pause=_asked_pause(response))
    if status in (401, 403):
        variable = options.api_key_variable
        remedy = (
            f"put a key that it accepts into {variable}"
            if variable
            else "name the environment variable that holds its key in `api_key_variable`"
        )
    elif status in _NOT_OFFERED:
        remedy = f"check `base_url` (most end in /v1) and that it embeds with `{options.model}`"
    elif 300 <= status < 400:
        remedy = "texts are not sent after a redirect: write the final address as `base_url`"
    else:
        remedy = (
            "the server's own log says why; its context must hold a chunk, and its model must be "
            "one for embeddings"
        )
    return _Refusal(reason, remedy, status=status)


def _asked_pause(response: httpx.Response) -> float:
    """Return the seconds of a Retry-After header; 0 when there is none or it is a date."""
    asked = response.headers.get("retry-after", "")
    return float(asked) if asked.isdecimal() else 0.0


def _open_client(options: ServerOptions) -> openai.OpenAI:
    try:
        import httpx
        import openai
    except ImportError:
        raise EmbeddingServerError(
            "backend `openai_server` needs its client: pip install 'learn-assets[server]'"
        ) from None
    # At level DEBUG the client logs what it sends.
    logging.getLogger("openai._base_client").addFilter(_is_no_request)
    key = _key(options)
    here = is_loopback(urlsplit(options.base_url).hostname or "")

    def keep_to_protocol(request: httpx.Request) -> None:
        # The client adds what it finds in the vendor's variables and about this machine.
        for name in [name for name in request.headers if name not in _SENT_HEADERS]:
            del request.headers[name]
        if key:
            request.headers["authorization"] = f"Bearer {key}"

    return openai.OpenAI(
        base_url=options.base_url,
        api_key=key or "none",
        max_retries=0,
        http_client=httpx.Client(
            timeout=httpx.Timeout(options.timeout_seconds, connect=_CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=options.concurrency),
            # A proxy of the environment is no way to this machine.
            trust_env=not here,
            follow_redirects=False,
            event_hooks={"request": [keep_to_protocol]},
        ),
    )


def _key(options: ServerOptions) -> str:
    if options.api_key_variable is None:
        return ""
    key = os.environ.get(options.api_key_variable, "")
    if not key:
        raise EmbeddingServerError(
            f"embedding server {options.base_url}: the environment variable "
            f"{options.api_key_variable} is not set; export the endpoint's key in it"
        )
    return key


def _is_no_request(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
