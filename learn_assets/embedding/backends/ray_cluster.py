"""Ray cluster backend: a pool of actors, each with the encoder's local backend.

What belongs here: handing batches to actors, losing and replacing actors, and what is said when it
fails. Starting or joining a cluster is in `ray_session.py`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from learn_assets.embedding.backends import Backend, open_backend
from learn_assets.embedding.backends.ray_session import RayClusterError, RaySession
from learn_assets.embedding.encoders import Encoder
from learn_assets.study.backends import RayOptions

OpenBackend = Callable[[Encoder], Backend]

_log = logging.getLogger(__name__)


class EncoderActor:
    """What one actor holds: the local backend of an encoder, loaded when first asked."""

    def __init__(self, encoder: Encoder, open_one: OpenBackend) -> None:
        self._encoder = encoder
        self._open_one = open_one
        self._backend: Backend | None = None

    def open(self) -> int:
        """Load the encoder; return the padded tokens a batch may hold."""
        return self._loaded().token_budget

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        """Return vectors (n, d) float32 as the local backend makes them."""
        return self._loaded().encode(texts, padded_length)

    def _loaded(self) -> Backend:
        if self._backend is None:
            self._backend = self._open_one(self._encoder)
        return self._backend


@dataclass
class _Place:
    """One place of the pool: the actor in it now, and how often it was filled again."""

    actor: Any
    restarts: int = 0


@dataclass(frozen=True)
class _Lost:
    """An actor did not finish its batch: why, as the class of Ray's error."""

    reason: str


class RayBackend:
    """An encoder on a pool of Ray actors; as many calls run at once as there are actors.

    A batch whose actor dies or falls silent goes to another actor, at most `max_attempts` times; a
    lost actor is replaced in the background, at most `max_restarts` times a place. Errors of the
    local backend itself pass through unchanged.
    """

    def __init__(
        self, encoder: Encoder, options: RayOptions, open_one: OpenBackend = open_backend
    ) -> None:
        """Start or join the cluster and load the encoder in every actor.

        RayClusterError when that takes longer than `start_seconds`; what opening the encoder raises
        (a model that is not on the node, say) passes through.
        """
        self.concurrency = options.actors
        self._encoder = encoder
        self._options = options
        self._open_one = open_one
        self._free: queue.Queue[_Place | None] = queue.Queue()
        self._guard = threading.Lock()
        self._places = options.actors
        self._last_reason = ""
        self._closed = threading.Event()
        self._session = RaySession(options)
        try:
            self.token_budget = self._fill()
        except BaseException:
            self.close()
            raise

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        """Return vectors (n, d) float32 from the first actor that is free; waits for one.

        RayClusterError when the batch lost too many actors or none is left.
        """
        for _ in range(self._options.max_attempts):
            place = self._take()
            outcome = self._run(place.actor, texts, padded_length)
            if isinstance(outcome, _Lost):
                self._replace(place, outcome)
                continue
            self._free.put(place)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        raise RayClusterError(
            f"a batch of {len(texts)} texts of up to {padded_length} tokens lost its actor "
            f"{self._options.max_attempts} times ({self._last_reason}); see the node's memory and "
            "the logs of its workers. What was embedded is kept, so run again"
        )

    def close(self) -> None:
        """End the actors, and the cluster if it was started here; a waiting call gets an error."""
        self._closed.set()
        self._free.put(None)
        # No actor may start while the connection ends.
        with self._guard:
            self._session.close()

    def _fill(self) -> int:
        places = [_Place(self._new_actor()) for _ in range(self._options.actors)]
        deadline = time.monotonic() + self._options.start_seconds
        openings = [place.actor.open.remote() for place in places]
        budgets = []
        for opening in openings:
            budget = self._result(opening, max(0.0, deadline - time.monotonic()))
            if isinstance(budget, _Lost):
                raise RayClusterError(
                    f"not all of {len(places)} actors loaded encoder {self._encoder.id} within "
                    f"{self._options.start_seconds:g} s ({budget.reason}); {self._session.room()}. "
                    "Ask for fewer or smaller actors in `ray`, or wait longer with `start_seconds`"
                )
            if isinstance(budget, BaseException):
                raise budget
            budgets.append(int(budget))
        for place in places:
            self._free.put(place)
        return min(budgets)

    def _new_actor(self) -> Any:
        return self._session.actor(EncoderActor, self._encoder, self._open_one)

    def _take(self) -> _Place:
        place = self._free.get()
        if place is not None and not self._closed.is_set():
            return place
        # Whoever else waits has to know as well.
        self._free.put(None)
        if self._closed.is_set():
            raise RayClusterError("the backend was closed")
        raise RayClusterError(
            f"every actor was lost and replaced {self._options.max_restarts} times "
            f"({self._last_reason}); see the nodes' memory and the logs of their workers. What was "
            "embedded is kept, so run again"
        )

    def _run(
        self, actor: Any, texts: Sequence[str], padded_length: int
    ) -> npt.NDArray[np.float32] | BaseException | _Lost:
        reference = actor.encode.remote(list(texts), padded_length)
        result: npt.NDArray[np.float32] | BaseException | _Lost
        result = self._result(reference, self._options.batch_seconds)
        # What Ray hands out lies in its shared memory and cannot be written to.
        return np.array(result) if isinstance(result, np.ndarray) else result

    def _result(self, reference: Any, seconds: float) -> Any:
        """Return a call's result, the local backend's own error, or `_Lost`."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            return ray.get(reference, timeout=seconds)
        except RayTaskError as error:
            return error.cause
        except RayError as error:
            return _Lost(type(error).__name__)

    def _replace(self, place: _Place, lost: _Lost) -> None:
        if self._closed.is_set():
            return
        self._last_reason = lost.reason
        _log.warning("an actor was lost (%s); its batch goes to another one", lost.reason)
        threading.Thread(target=self._refill, args=(place,), daemon=True).start()

    def _refill(self, place: _Place) -> None:
        """Put a new actor into a place once it has loaded the encoder, or give the place up."""
        filled = False
        try:
            while not filled and self._start_anew(place):
                opened = self._result(place.actor.open.remote(), self._options.start_seconds)
                filled = isinstance(opened, int)
        finally:
            # However this thread ends, nobody may wait for an actor that will never come.
            self._settle(place, filled=filled)

    def _start_anew(self, place: _Place) -> bool:
        """Start another actor in a place; False when that was done often enough, or at the end."""
        with self._guard:
            if self._closed.is_set() or place.restarts >= self._options.max_restarts:
                return False
            # One that only fell silent must not hold its memory.
            self._session.kill(place.actor)
            place.restarts += 1
            place.actor = self._new_actor()
            return True

    def _settle(self, place: _Place, *, filled: bool) -> None:
        if filled:
            self._free.put(place)
            return
        with self._guard:
            self._places -= 1
            none_left = self._places == 0
        if none_left:
            self._free.put(None)
