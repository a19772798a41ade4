"""Forest of subgroups: no number of a withheld group, and names as they are written."""

from __future__ import annotations

from learn_assets.analyses.subgroups.figure import SubgroupRow, subgroup_forest, subgroup_rows
from learn_assets.schemas.registry import empty_frame
from learn_assets_tests.analyses.shown import text_of


def group(name: str, attribute: str, estimate: float | None) -> SubgroupRow:
    limits = (None, None) if estimate is None else (estimate - 0.1, estimate + 0.1)
    reason = "withheld: few" if estimate is None else None
    return SubgroupRow("learn", "svm", attribute, name, None, "auroc", estimate, *limits, reason)


def test_a_forest_names_withheld_groups_and_shows_no_number_of_theirs() -> None:
    rows = [group("female", "sex", 0.7), group("Asian", "race", None)]
    text = text_of(subgroup_forest(rows, "forest"))
    assert "0.70 [0.60, 0.80]" in text
    assert "Asian: withheld" in text
    assert subgroup_forest([group("Asian", "race", None)], "forest") is None
    frame = empty_frame("subgroup_performance")
    assert subgroup_rows(frame) == ()
    assert subgroup_forest(subgroup_rows(frame), "forest") is None


def test_a_name_with_dollar_signs_is_no_formula() -> None:
    names = (r"$\frac{$", "a$b$", "1 < $2$ & 3", r"\$5")
    text = text_of(subgroup_forest([group(name, "race", 0.7) for name in names], "forest"))
    for name in names:
        # Once in the description, once in the drawing.
        assert text.count(name) == 2
