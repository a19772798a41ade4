"""Studies: what a study file asks for, and the results that are in its lake."""

from __future__ import annotations

from learn_assets.commands.answer import Answer
from learn_assets.study.file import AnyStudy
from learn_assets.study.subtypes import SubtypeStudy


def outline(study: AnyStudy) -> Answer:
    """Return the size of a study whose file has no errors."""
    if isinstance(study, SubtypeStudy):
        discharges, pruning = study.source.format, study.pruning.preset
        words = f"subtypes of {discharges} discharges, pruning {pruning}"
        found: dict[str, object] = {"source": discharges, "pruning": pruning}
    else:
        words = f"{len(study.windows)} windows, {len(study.encoders)} encoders"
        found = {"windows": len(study.windows), "encoders": len(study.encoders)}
    return Answer(f"{study.name}: {words}; no errors", {"study": study.name, **found})


def show_results(study: AnyStudy) -> Answer:
    """Return the results of a study, or what to run when there are none."""
    from learn_assets.lake import Lake
    from learn_assets.reporting.results import collect_results
    from learn_assets.reporting.text import summary, summary_document
    from learn_assets.subtypes.summary import subtypes_summary

    lake = Lake.open(study.name, study.lake.home)
    if isinstance(study, SubtypeStudy):
        found = subtypes_summary(study, lake)
        return Answer(found.text, found.document())
    results = collect_results(study, lake)
    return Answer(summary(results), summary_document(results))
