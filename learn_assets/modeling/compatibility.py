"""Compatibility: whether a bundle's models mean the same thing on another site's data.

What belongs here: what a bundle says about its origin, and the named differences that refuse it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from learn_assets.modeling.bundle import BundleError, Provenance
from learn_assets.modeling.features import EncoderIdentity
from learn_assets.study import EncoderChoice, Study

Part = Literal[
    "version", "window", "encoder", "embedding", "narratives", "counts", "models", "cohort",
    "code_lists", "study_name", "training_patients",
]  # fmt: skip

# Where an encoder lies and runs decides no vector, and its revision is compared by itself.
_PLACES = {
    "id", "model", "path", "revision", "trust_remote_code",
    "backend", "server", "ray", "vector_storage",
}  # fmt: skip
_COUNTED = ("look_back_days", "roll_up_icd")


class IncompatibleBundleError(BundleError):
    """A whole bundle that does not fit this study; the message lists every difference."""


@dataclass(frozen=True)
class Difference:
    """One thing about a bundle that a person must judge before it is used here, in words."""

    part: Part
    reason: str


def origin_of(
    study: Study,
    window_key: str,
    encoder: EncoderIdentity,
    choice: EncoderChoice,
    code_list: pl.DataFrame,
    extract: str | None = None,
) -> Provenance:
    """Return what a bundle says about its origin: the choices another site must repeat.

    code_list: the table of that name (list, code_system, code, match). Of each list that decides
    the cohort the bundle keeps the number of codes and a sha256. extract: fingerprint of the table
    `patient`.
    """
    options: dict[str, Any] = study.model_dump(
        mode="json", include={"title", "synthetic", "narratives", "counts", "models"}
    )
    options["embedding"] = choice.model_dump(mode="json", exclude=_PLACES)
    options["cohort"] = study.cohort.model_dump(mode="json", exclude={"severe_outcomes"})
    options["code_lists"] = _digests(code_list, _deciding_lists(study))
    return Provenance(study.name, window_key, encoder, options, extract=extract)


def differences(source: Provenance, here: Provenance) -> tuple[Difference, ...]:
    """Return every difference between a bundle's origin and this study that changes a score."""
    return tuple(_differences(source, here))


def assert_compatible(
    source: Provenance, here: Provenance, accepted: Collection[str] = ()
) -> tuple[Difference, ...]:
    """Return the differences that were accepted; any other raises IncompatibleBundleError.

    accepted: parts that a person has judged, such as `code_lists` between two data models.
    """
    found = differences(source, here)
    refused = [item for item in found if item.part not in accepted]
    if refused:
        reasons = "; ".join(item.reason for item in refused)
        raise IncompatibleBundleError(f"the model of study {source.study} does not fit: {reasons}")
    return found


def _differences(source: Provenance, here: Provenance) -> Iterator[Difference]:
    if _release(source.version) != _release(here.version):
        yield Difference(
            "version",
            f"it was made by learn_assets {source.version}, which may turn records into other "
            f"features than {here.version} here; train it again with one version at both sites",
        )
    if source.window != here.window:
        yield Difference("window", f"it predicts in {source.window}, asked for was {here.window}")
    if source.encoder != here.encoder:
        yield Difference(
            "encoder",
            f"its vectors are of {source.encoder.id} revision {source.encoder.revision}, here "
            f"of {here.encoder.id} revision {here.encoder.revision}",
        )
    sections: tuple[tuple[Part, tuple[str, ...] | None], ...] = (
        ("embedding", None),
        ("narratives", None),
        ("counts", _COUNTED),
        ("models", ("include_medication",)),
        ("cohort", None),
    )
    for part, keys in sections:
        theirs, ours = source.options.get(part, {}), here.options.get(part, {})
        for key in keys or sorted({*theirs, *ours}):
            if theirs.get(key) != ours.get(key):
                yield Difference(
                    part,
                    f"`{part}.{key}` is {_shown(theirs.get(key))} there and "
                    f"{_shown(ours.get(key))} here",
                )
    theirs, ours = (side.options.get("code_lists", {}) for side in (source, here))
    for name in sorted({*theirs, *ours}):
        if theirs.get(name) != ours.get(name):
            counts = [str(side[name]["codes"]) if name in side else "no" for side in (theirs, ours)]
            yield Difference(
                "code_lists",
                f"code list `{name}` holds other codes ({counts[0]} there, {counts[1]} here)",
            )


def _release(version: str) -> str:
    # Before 1.0 the second number may change what a feature means, from then on the first.
    major, minor, *_ = (*version.split("."), "0")
    return f"{major}.{minor}" if major == "0" else major


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _deciding_lists(study: Study) -> tuple[str, ...]:
    rules = study.cohort
    names = {rule.code_list for rule in rules.exclusions if rule.code_list}
    names |= {rule.code_list for rule in (rules.index_event, rules.outcome) if rule}
    return tuple(sorted(names))


def _digests(code_list: pl.DataFrame, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    return {name: _digest(code_list.filter(pl.col("list") == name)) for name in names}


def _digest(rows: pl.DataFrame) -> dict[str, Any]:
    lines = sorted("|".join(row) for row in rows.select("code_system", "code", "match").rows())
    return {"codes": len(lines), "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest()}
