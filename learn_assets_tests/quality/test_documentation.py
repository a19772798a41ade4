"""The page for data stewards lists the packaged suite, with its thresholds."""

from __future__ import annotations

import re
from pathlib import Path

from learn_assets.quality.findings import Finding
from learn_assets.study import QualityOptions
from learn_assets.study.expectations import EVENT_TABLES, SUITE

PAGE = Path(__file__).parents[2] / "docs" / "data_quality.md"


def listed() -> dict[str, tuple[str, ...]]:
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 5:
            continue
        for name in re.findall(r"`([^`]+)`", cells[0]):
            tables = EVENT_TABLES if "<records>" in name else ("",)
            found |= {name.replace("<records>", table): tuple(cells[1:]) for table in tables}
    return found


def test_the_page_lists_every_expectation_as_it_is_packaged() -> None:
    expected = {}
    for item in SUITE:
        row = Finding(
            *(item.name, item.aspect.category, item.aspect.subcategory, item.table),
            *(item.measure, item.unit, item.bound, item.threshold, None, "", None),
            *(item.severity, None, None),
        )
        aspect = ", ".join(filter(None, (item.aspect.category, item.aspect.subcategory)))
        expected[item.name] = (aspect, item.measure, row.expected, item.severity)
    assert listed() == expected


def test_the_example_of_the_page_is_a_valid_section() -> None:
    from ruamel.yaml import YAML

    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    section = YAML(typ="safe").load(block)["quality"]
    assert len(QualityOptions.model_validate(section).expectations) == 4
