"""Empty cohorts: why no window of a study has a patient, in one sentence."""

from __future__ import annotations

from learn_assets.disclosure import shown
from learn_assets.lake import Lake
from learn_assets.study import Study
from learn_assets.study.windows import Window


def no_cohort_anywhere(study: Study, lake: Lake) -> str | None:
    """Return why every window of a study has an empty cohort, or None when one has a patient.

    A window whose cohort is not in the lake counts as having patients: its own run explains it.
    """
    stamps = [lake.stamp("cohort", window) for window in study.windows]
    if any(stamp is None or stamp.rows for stamp in stamps):
        return None
    causes = dict.fromkeys(_cause(study, lake, window) for window in study.windows)
    return (
        f"no window has a patient in its cohort: {'; '.join(causes)}; look at the table "
        "`attrition` and change `cohort`, `code_lists` or `windows` in the study file"
    )


def _cause(study: Study, lake: Lake, window: Window) -> str:
    attrition = lake.read("attrition", window)
    if attrition["remaining"][0] == 0:
        return "no patient has an index event"
    step = attrition.sort("removed", "step", descending=[True, False]).row(0, named=True)
    removed = shown(step["removed"], study.privacy.minimum_cell)
    return f"in {window.key} the rule `{step['name']}` removed most ({removed} patients)"
