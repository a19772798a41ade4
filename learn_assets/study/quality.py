"""Quality: what a study changes in the packaged expectations of data quality."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Self

from pydantic import Field, model_validator

from learn_assets.study.expectations import SUITE, Severity
from learn_assets.study.section import Section


class ExpectationChoice(Section):
    """One packaged expectation as this study wants it; what is left out stays as packaged."""

    threshold: float | None = Field(
        default=None,
        ge=0.0,
        allow_inf_nan=False,
        description="Limit that still passes; a share is written as 0.95, not in percent.",
    )
    severity: Severity | None = Field(
        default=None, description="`error` stops what is made from the data, `warn` is shown."
    )
    enabled: bool = Field(default=True, description="false: neither measured nor shown.")


class QualityOptions(Section):
    """Expectations of data quality by name, as `docs/data_quality.md` lists them."""

    expectations: dict[str, ExpectationChoice] = Field(default={}, description="Changes by name.")

    @model_validator(mode="after")
    def _expectations_are_known(self) -> Self:
        known = {item.name: item for item in SUITE}
        for name, choice in self.expectations.items():
            if name not in known:
                close = get_close_matches(name, known, n=1)
                guess = f"; did you mean `{close[0]}`?" if close else ""
                raise ValueError(f"`expectations.{name}` is not an expectation{guess}")
            of_all = known[name].unit == "share"
            if of_all and choice.threshold is not None and choice.threshold > 1.0:
                raise ValueError(f"`expectations.{name}`: a share is between 0 and 1")
        return self
