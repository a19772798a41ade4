"""Judge: Great Expectations holds measures against thresholds.

What belongs here: the only code that touches the library. It sees one row of aggregates, in memory
and in a context that has no project folder, and answers yes or no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from learn_assets.study.expectations import Expectation

_SEVERITIES = {"error": "critical", "warn": "warning"}


class JudgmentError(RuntimeError):
    """Great Expectations could not judge a measure; the message names the expectation."""


def judged(values: Mapping[str, float], suite: Sequence[Expectation]) -> dict[str, bool]:
    """Return by name whether each expectation that has a value holds; the threshold passes.

    JudgmentError when the library fails instead of answering.
    """
    present = [item for item in suite if item.name in values]
    if not present:
        return {}
    import great_expectations as gx
    import pandas as pd
    from great_expectations.data_context.types import base

    config = base.DataContextConfig(
        # In memory, and without the folder that pages of results would be built in.
        store_backend_defaults=base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=base.ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=config)

    row = pd.DataFrame({item.name: [values[item.name]] for item in present}, dtype="float64")
    asset = context.data_sources.add_pandas("measures").add_dataframe_asset("measures")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": row})
    rules = gx.ExpectationSuite(name="data_quality", expectations=[_rule(item) for item in present])
    # No other format leaves out the values.
    outcome = batch.validate(rules, result_format="BOOLEAN_ONLY")
    answers = dict(_answer(result) for result in outcome.results)
    if set(answers) != {item.name for item in present}:
        raise JudgmentError("Great Expectations left expectations out; report this as a defect")
    return answers


def _rule(item: Expectation) -> Any:
    from great_expectations import expectations

    limit = {"min_value" if item.bound == "at_least" else "max_value": item.threshold}
    return expectations.ExpectColumnValuesToBeBetween(
        column=item.name, severity=_SEVERITIES[item.severity], **limit
    )


def _answer(result: Any) -> tuple[str, bool]:
    name = str(result.expectation_config.kwargs["column"])
    # An exception inside the library is stored and counts as a failed expectation.
    stored = result.exception_info or {}
    causes = [stored, *(part for part in stored.values() if isinstance(part, dict))]
    if any(cause.get("raised_exception") for cause in causes):
        raise JudgmentError(f"Great Expectations could not judge {name}")
    return name, bool(result.success)
