"""The section `quality`: what it may change, and how mistakes in it are explained."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from learn_assets.study import QualityOptions


def options(name: str, **choice: Any) -> QualityOptions:
    return QualityOptions.model_validate({"expectations": {name: choice}})


def test_a_threshold_a_severity_and_a_switch_may_be_chosen() -> None:
    chosen = options("patient.known_sex", threshold=0.8, severity="error", enabled=False)
    choice = chosen.expectations["patient.known_sex"]
    assert (choice.threshold, choice.severity, choice.enabled) == (0.8, "error", False)
    assert options("diagnosis.months_missing", threshold=2).expectations


@pytest.mark.parametrize(
    ("name", "choice", "said"),
    [
        ("patient.know_sex", {}, "patient.known_sex"),
        ("patient.known_sex", {"threshold": 95}, "between 0 and 1"),
        ("patient.known_sex", {"threshold": -0.1}, "greater than or equal to 0"),
        ("patient.known_sex", {"severity": "fatal"}, "warn"),
        ("patient.known_sex", {"limit": 0.5}, "limit"),
    ],
)
def test_a_mistake_is_explained(name: str, choice: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        options(name, **choice)
