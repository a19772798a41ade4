"""Statistics: what an embedding run did and how fast; counts only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from learn_assets.embedding.backends import Observation


@dataclass(frozen=True)
class EmbeddingStatistics:
    """What a run did.

    `chunks` are distinct within a group of texts; of those `missing` were not in the store,
    `embedded` went through the encoder and `reused` were in the store already; `embedded_tokens`
    counts what the encoder read without padding (prompt, special tokens and overlap included),
    `padded_tokens` the same with it; `encoding` are the seconds in which the encoder had work.
    `empty` texts have no token and thus no vector.
    `observation` comes from the backend, when one was needed.
    """

    texts: int = 0
    empty: int = 0
    tokens: int = 0
    chunks: int = 0
    missing: int = 0
    embedded: int = 0
    embedded_tokens: int = 0
    padded_tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0
    encoding_seconds: float = 0.0
    observation: Observation | None = None

    @property
    def reused(self) -> int:
        """Chunks that were in the store already."""
        return max(0, self.chunks - self.embedded)

    @property
    def reused_share(self) -> float:
        """Share of the chunks that were in the store already; 1 when there was none to embed."""
        return self.reused / self.chunks if self.chunks else 1.0

    @property
    def tokens_per_second(self) -> float:
        """Tokens the encoder read, padding left out, a second of encoding."""
        return _rate(self.embedded_tokens, self.encoding_seconds)

    @property
    def texts_per_second(self) -> float:
        """Texts a second of the whole run."""
        return _rate(self.texts, self.seconds)

    @property
    def padding_share(self) -> float:
        """Share of what the encoder computed that was padding."""
        wasted = self.padded_tokens - self.embedded_tokens
        return wasted / self.padded_tokens if self.padded_tokens else 0.0

    @property
    def share_of_peak(self) -> float | None:
        """Useful operations a second over what the device can do; None where that is not known.

        Padding is not useful (Chowdhery et al. 2022, appendix B, forward pass only).
        """
        peak = self.observation.peak_flops if self.observation else None
        return _rate(self.flops, self.encoding_seconds) / peak if peak else None

    def status(self) -> str:
        """Return how a run under way is going, for a progress bar."""
        found = max(0.0, 1.0 - self.missing / self.chunks) if self.chunks else 0.0
        parts = [
            f"{self.tokens_per_second:,.0f} tokens/s",
            f"{self.padding_share:.0%} padding",
            f"{found:.0%} from the store",
        ]
        return ", ".join([*parts, *self._of_device()])

    def _of_device(self) -> list[str]:
        parts = [] if self.share_of_peak is None else [f"{self.share_of_peak:.0%} of peak"]
        memory = self.observation.peak_memory_bytes if self.observation else None
        return parts if memory is None else [*parts, f"{memory / 2**30:.1f} GiB at most"]

    def summary(self) -> str:
        """Return one line for a log."""
        parts = [
            f"{self.texts:,} texts, {self.chunks:,} chunks ({self.reused_share:.0%} reused)",
            f"{self.tokens_per_second:,.0f} tokens/s",
            f"{self.texts_per_second:,.0f} texts/s",
            f"{self.padding_share:.1%} padding",
        ]
        if self.observation is not None:
            parts.append(f"{self.observation.backend} on {self.observation.device}")
        parts += self._of_device()
        return ", ".join(parts)


@dataclass
class Tally:
    """Running numbers of one run."""

    texts: int = 0
    empty: int = 0
    tokens: int = 0
    chunks: int = 0
    missing: int = 0
    embedded: int = 0
    embedded_tokens: int = 0
    squared_tokens: int = 0
    padded_tokens: int = 0
    encoding_seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def add_batch(self, lengths: Sequence[int], padded_length: int) -> None:
        """Count a batch of chunks that went through the encoder."""
        self.embedded += len(lengths)
        self.embedded_tokens += sum(lengths)
        self.squared_tokens += sum(length * length for length in lengths)
        self.padded_tokens += len(lengths) * padded_length

    def statistics(self, observation: Observation | None) -> EmbeddingStatistics:
        """Return the numbers so far."""
        return EmbeddingStatistics(
            texts=self.texts,
            empty=self.empty,
            tokens=self.tokens,
            chunks=self.chunks,
            missing=self.missing,
            embedded=self.embedded,
            embedded_tokens=self.embedded_tokens,
            padded_tokens=self.padded_tokens,
            flops=self._flops(observation),
            seconds=round(time.monotonic() - self.started, 3),
            encoding_seconds=round(self.encoding_seconds, 3),
            observation=observation,
        )

    def _flops(self, observation: Observation | None) -> float:
        if observation is None or observation.linear_flops is None:
            return 0.0
        attention = observation.attention_flops or 0.0
        return observation.linear_flops * self.embedded_tokens + attention * self.squared_tokens


def _rate(amount: float, seconds: float) -> float:
    return amount / seconds if seconds else 0.0
