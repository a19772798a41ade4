"""Features: how a history becomes text, counts and vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from learn_assets.study.backends import RayOptions, ServerOptions
from learn_assets.study.names import DEFAULT_HALF_LIFE_DAYS, BackendName
from learn_assets.study.section import Section


class NarrativeOptions(Section):
    """How a history is written as text."""

    order: Literal["chronological", "recent_first"] = "recent_first"
    dates: Literal["absolute", "relative", "none"] = "none"
    medication_name: Literal["drug", "ingredient"] = "drug"


class CountOptions(Section):
    """How records are counted."""

    look_back_days: tuple[int, ...] = Field(
        default=(), description="Further counts of the last so many days before the index date."
    )
    roll_up_icd: bool = Field(default=True, description="Count ICD categories, not full codes.")
    minimum_patients: int = Field(
        default=11,
        ge=1,
        description="A feature of fewer training patients is dropped, as is one of fewer than "
        "`privacy.minimum_cell`.",
    )

    @field_validator("look_back_days")
    @classmethod
    def _positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(days < 1 for days in value):
            raise ValueError("days must be 1 or more")
        return value


class VocabularyOptions(Section):
    """What share of the records must have a description, and where missing ones come from."""

    minimum_coverage: float = Field(default=0.9, ge=0.0, le=1.0)
    packaged_icd: bool = Field(default=True, description="Fill gaps from packaged ICD tables.")
    extra_code_systems: tuple[str, ...] = Field(
        default=(),
        description="Code systems accepted besides the ten known ones (OMOP: all are accepted).",
    )


class EncoderChoice(Section):
    """One text-embedding model and how it reads a history; `id` is its partition key."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    model: str | None = Field(
        default=None, description="Name in the encoder registry; none: the same as `id`."
    )
    path: Path | None = Field(
        default=None, description="Folder of a sentence-transformers model; none: the registry."
    )
    revision: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{40}$",
        description="Commit of a registered model of the hub; none: the one in the registry.",
    )
    trust_remote_code: bool = Field(
        default=False, description="Allow a model to run Python code from its own repository."
    )
    token_limit: int | None = Field(
        default=None, ge=32, description="Tokens of a chunk, prompt included; none: the model's."
    )
    mode: Literal["neutral", "task", "concept"] = Field(
        default="neutral",
        description="`neutral`: the narrative in chunks. `task`: each chunk behind the encoder's "
        "instruction for its kind. `concept`: each distinct description once, averaged over a "
        "patient's records by how recent they are.",
    )
    overlap_tokens: int = Field(default=32, ge=0)
    vector_storage: Literal["float32", "float16"] = Field(
        default="float32", description="Type vectors of chunks are kept in; float16 halves them."
    )
    half_life_days: float | None = Field(
        default=None,
        gt=0.0,
        allow_inf_nan=False,
        description="Mode `concept`: a record this old weighs half as much as one at the index "
        f"date; none: {DEFAULT_HALF_LIFE_DAYS:g}.",
    )
    backend: BackendName = Field(
        default="auto", description="What runs the encoder; `auto`: what suits this machine."
    )
    server: ServerOptions | None = Field(
        default=None, description="The endpoint of backend `openai_server`."
    )
    ray: RayOptions | None = Field(default=None, description="The cluster of backend `ray`.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.model is not None and self.path is not None:
            raise ValueError("give `model` (a registered one) or `path` (a folder), not both")
        return self

    @model_validator(mode="after")
    def _half_life_is_of_concepts(self) -> Self:
        if self.half_life_days is not None and self.mode != "concept":
            raise ValueError("`half_life_days` belongs to `mode: concept`")
        return self

    @model_validator(mode="after")
    def _options_fit_the_backend(self) -> Self:
        if self.backend == "openai_server" and self.server is None:
            raise ValueError("`backend`: openai_server needs `server` with base_url, model, dtype")
        for key, backend in (("server", "openai_server"), ("ray", "ray")):
            if getattr(self, key) is not None and self.backend != backend:
                raise ValueError(f"`{key}`: these options need `backend: {backend}`")
        return self

    @property
    def model_name(self) -> str:
        """Name under which the registry or the store knows the model."""
        return self.model or self.id
