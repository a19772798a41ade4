"""Options of the language model of a subtypes study: what a user may choose, with presets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from learn_assets.study.section import Section

PRETRAINED_FILES = "config.json, tokenizer.json and *.safetensors"

# What the publication states; batches and passes it leaves open, these are the usual ones.
_PUBLISHED: Mapping[str, Any] = {
    "sharing": "each_sex",
    "masked": {"learning_rate": 5e-5, "batch": 16, "epochs": 3, "warmup_share": 0.0},
    "contrastive": {
        "learning_rate": 1e-5,
        "batch": 16,
        "epochs": 3,
        "temperature": 0.05,
        "projection": 768,
        "views": "independent",
        "vector": "projected",
        "warmup_share": 0.0,
    },
}
_PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"embedded": {}, "published": _PUBLISHED}
)


class TrainingOptions(Section):
    """What both trainings have in common."""

    learning_rate: float = Field(gt=0.0, le=1.0, description="Highest rate of AdamW.")
    warmup_share: float = Field(
        default=0.06, ge=0.0, le=0.5, description="Share of steps until the highest rate."
    )
    weight_decay: float = Field(default=0.01, ge=0.0, le=1.0)
    batch: int = Field(ge=2, le=8_192, description="Admissions a step.")
    epochs: int = Field(ge=1, le=1_000, description="Most passes over the admissions.")
    patience: int = Field(
        default=2, ge=1, le=100, description="Passes without a lower held-out loss that end it."
    )


class MaskedOptions(TrainingOptions):
    """Masked-language-model training: hidden tokens are guessed from the rest of the text."""

    learning_rate: float = Field(default=2e-3, gt=0.0, le=1.0)
    batch: int = Field(default=32, ge=2, le=8_192)
    epochs: int = Field(default=2, ge=1, le=1_000)
    mask_share: float = Field(
        default=0.15, gt=0.0, le=0.9, description="Share of tokens that are to be guessed."
    )


class ContrastiveOptions(TrainingOptions):
    """Contrastive training: two views of an admission shall lie closer than those of others."""

    learning_rate: float = Field(default=1e-3, gt=0.0, le=1.0)
    batch: int = Field(default=64, ge=2, le=8_192)
    epochs: int = Field(default=5, ge=1, le=1_000)
    temperature: float = Field(default=0.1, gt=0.0, le=10.0)
    projection: int = Field(default=64, ge=2, le=4_096, description="Dimensions compared.")
    views: Literal["disjoint", "independent"] = Field(
        default="disjoint",
        description="`disjoint`: each diagnosis is in one of the two views, so only what comes "
        "together makes them alike. `independent`: each view leaves out `drop_share`.",
    )
    drop_share: float = Field(
        default=0.3, ge=0.0, lt=1.0, description="Share that an independent view leaves out."
    )
    reorder: bool = Field(default=True, description="Views have diagnoses in any order.")
    keep_principal: bool = Field(
        default=False, description="Views begin with the principal diagnosis; else it is as others."
    )
    vector: Literal["pooled", "projected"] = Field(
        default="pooled", description="Which vector an admission gets: before or after projection."
    )


class LanguageModelOptions(Section):
    """The language model of the study. A key that is given replaces that of the preset."""

    preset: Literal["embedded", "published"] = Field(
        default="embedded",
        description="`embedded`: a small model trained from scratch, seconds on a processor. "
        "`published`: DeBERTa-v3 from `base_model`, one model a sex.",
    )
    base_model: Path | None = Field(
        default=None, description=f"Folder of a DeBERTa-v3 model: {PRETRAINED_FILES}."
    )
    sharing: Literal["shared", "each_sex"] = Field(
        default="shared", description="One model for both sexes, or one a sex as published."
    )
    token_limit: int = Field(default=256, ge=32, le=512, description="Tokens of an admission.")
    held_out_share: float = Field(
        default=0.1, gt=0.0, le=0.5, description="Share of admissions that no training sees."
    )
    seed: int = Field(default=42, ge=0)
    masked: MaskedOptions = MaskedOptions()
    contrastive: ContrastiveOptions = ContrastiveOptions()

    @model_validator(mode="before")
    @classmethod
    def _start_from_the_preset(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return _merged(_PRESETS.get(str(value.get("preset", "embedded")), {}), value)

    @model_validator(mode="after")
    def _published_has_a_model(self) -> Self:
        if self.preset == "published" and self.base_model is None:
            raise ValueError(
                "preset `published` needs `base_model`, the folder of DeBERTa-v3-base with "
                f"{PRETRAINED_FILES}; no weights come with this package"
            )
        return self


def _merged(preset: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the preset with what was given in its place, section by section."""
    nested = {
        key: _merged(preset[key], value)
        for key, value in given.items()
        if isinstance(value, dict) and isinstance(preset.get(key), Mapping)
    }
    return {**preset, **given, **nested}
