"""Backend options: what a study says about the server or cluster that runs an encoder.

What belongs here: addresses, limits and what their owner declares. Nothing here connects to
anything.
"""

from __future__ import annotations

import ipaddress
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from learn_assets.study.section import Section

# What decides where and how fast texts are embedded, not what their vectors are.
SERVER_TRANSPORT = frozenset(
    (
        "base_url", "allow_remote_host", "api_key_variable", "token_budget",
        "texts_per_request", "concurrency", "timeout_seconds", "retries",
        "first_pause_seconds", "longest_pause_seconds", "check_token_count",
    )
)  # fmt: skip
_TORCH_DTYPES = ("float32", "bfloat16", "float16")


class ServerOptions(Section):
    """An OpenAI-compatible embeddings endpoint: vLLM, TEI, Infinity, Ollama and others.

    `model`, `revision` and `dtype` are declarations: no endpoint can prove what it computes with.
    They are part of the vectors' identity, so vectors under two declarations never mix.
    """

    base_url: str = Field(
        description="Where the endpoint is, as http://127.0.0.1:8000/v1; there is no default."
    )
    model: str = Field(min_length=1, description="The model's name at the server.")
    dtype: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="What the server computes in: float16, bfloat16, float32, fp8, q8_0, ...",
    )
    revision: str | None = Field(
        default=None,
        min_length=1,
        description="What pins the server's weights (commit, digest); change it when they change.",
    )
    same_space_as_local: bool = Field(
        default=False,
        description="State that the server runs the weights in the encoder's folder, in `dtype`: "
        "its vectors then count as those computed here.",
    )
    allow_remote_host: bool = Field(
        default=False,
        description="Let patients' texts leave this machine, for a host that is not loopback.",
    )
    api_key_variable: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable that holds the endpoint's key; the key is never written.",
    )
    token_budget: int = Field(default=16_384, ge=1, description="Padded tokens a request.")
    texts_per_request: int = Field(default=32, ge=1, le=2_048, description="Texts a request.")
    concurrency: int = Field(default=8, ge=1, le=256, description="Requests in flight at once.")
    timeout_seconds: float = Field(default=120.0, gt=0, description="Wait for a request this long.")
    retries: int = Field(default=6, ge=0, le=50, description="Attempts after the first.")
    first_pause_seconds: float = Field(
        default=0.5, gt=0, description="Upper end of the first random pause; it doubles each time."
    )
    longest_pause_seconds: float = Field(default=30.0, gt=0)
    check_token_count: bool = Field(
        default=True,
        description="Refuse an answer whose token count says that texts were cut short.",
    )

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        parts = urlsplit(value)
        try:
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("must be an address as http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "must hold no user, password, query or fragment; name the variable that holds the "
                "key in api_key_variable"
            )
        return value.rstrip("/")

    @model_validator(mode="after")
    def _texts_leave_only_when_allowed(self) -> Self:
        parts = urlsplit(self.base_url)
        if is_loopback(parts.hostname or ""):
            return self
        if not self.allow_remote_host:
            raise ValueError(
                f"`base_url`: {parts.hostname} is another machine, and patients' texts would be "
                "sent there; write `allow_remote_host: true` if that is allowed"
            )
        if parts.scheme != "https":
            raise ValueError("`base_url`: a host that is not this machine needs https")
        return self

    @model_validator(mode="after")
    def _same_space_needs_a_torch_dtype(self) -> Self:
        if self.same_space_as_local and self.dtype not in _TORCH_DTYPES:
            raise ValueError(
                f"`same_space_as_local`: nothing here computes in {self.dtype}; local vectors are "
                f"{', '.join(_TORCH_DTYPES)}"
            )
        return self


class RayOptions(Section):
    """A pool of Ray actors, each of which holds the encoder's local backend.

    The model's folder and this package must be at the same path on every node.
    """

    address: str | None = Field(
        default=None,
        min_length=1,
        description="Cluster to join, as host:port or `auto`; none: one is started here.",
    )
    allow_remote_host: bool = Field(
        default=False,
        description="Let patients' texts leave this machine, for an address that is not loopback.",
    )
    actors: int = Field(default=2, ge=1, le=1_024, description="Copies of the encoder.")
    cpus_per_actor: float = Field(default=1.0, ge=0)
    gpus_per_actor: float = Field(default=0.0, ge=0)
    max_restarts: int = Field(
        default=3, ge=0, description="Times that one actor's place may be filled again."
    )
    max_attempts: int = Field(
        default=3, ge=1, description="Times that one batch may lose its actor before giving up."
    )
    start_seconds: float = Field(
        default=600.0, gt=0, description="Wait this long for an actor to load the encoder."
    )
    batch_seconds: float = Field(
        default=600.0, gt=0, description="An actor silent for this long on a batch counts as lost."
    )

    @model_validator(mode="after")
    def _texts_leave_only_when_allowed(self) -> Self:
        if self.address is None or self.allow_remote_host:
            return self
        if not is_loopback(host_of(self.address)):
            raise ValueError(
                f"`address`: {self.address} may run on other machines, and patients' texts would "
                "be sent there; write `allow_remote_host: true` if that is allowed"
            )
        return self


def host_of(address: str) -> str:
    """Return the host of host:port or scheme://host:port; the name itself when it is a word."""
    return urlsplit(f"//{address.rpartition('//')[2]}").hostname or ""


def is_loopback(host: str) -> bool:
    """Say whether a host name or address can only be this machine; names are not looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
