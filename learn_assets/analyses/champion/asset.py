"""The champion of a cell: kept or replaced on paired evidence, with its history."""

import dagster as dg

from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import CellStep, cell_asset, cell_step
from learn_assets.modeling.bundle import bundle_digest, read_bundle
from learn_assets.modeling.challenge import ChallengeRule, judge
from learn_assets.modeling.champion import HistoryEntry
from learn_assets.modeling.lake_cell import champion_history, load_cell
from learn_assets.reporting.markdown import markdown_table
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset that decides which models are in force."""
    return [_champion(study)]


def _champion(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "champion",
        [*cell_inputs(), "cross_validation", "trained_models"],
        "The models in force: new ones take over unless paired evidence shows them worse.",
        group="models",
        kinds={"json"},
        is_table=False,
    )
    def champion(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake) as step:
            entry = _decide(study, step)
            if entry.action == "kept":
                context.log.warning(f"the champion stays: {entry.reason}")
            entries = champion_history(step.lake, step.window, step.encoder).entries()
            return dg.MaterializeResult(
                data_version=dg.DataVersion(entry.champion),
                metadata={
                    "champion": entry.champion,
                    "decision": entry.action,
                    "reason": entry.reason,
                    "history": dg.MetadataValue.md(_history_table(entries)),
                    "decisions": len(entries),
                },
            )

    return champion


def _decide(study: Study, step: CellStep) -> HistoryEntry:
    history = champion_history(step.lake, step.window, step.encoder)
    current = history.current()
    folder = step.lake.folder("trained_models", step.window, step.encoder.id) / "bundle"
    digest = bundle_digest(folder)
    entries = history.entries()
    # The same models again, or models that a person withdrew: nothing is decided anew.
    if current is not None and digest in {current.digest, *history.withdrawn()}:
        return entries[-1]
    out_of_fold = step.lake.read("cross_validation", step.window, step.encoder.id)
    cell = load_cell(study, step.lake, step.window, step.encoder)
    decision = judge(
        current,
        read_bundle(folder, digest=digest),
        out_of_fold,
        cell.blocks.rows(cell.labeled),
        ChallengeRule.from_study(study),
    )
    if decision.promoted:
        return history.promote(folder, out_of_fold, decision.reason)
    return history.keep(digest, decision.reason)


def _history_table(entries: tuple[HistoryEntry, ...]) -> str:
    cells = [
        (str(e.decided_at), e.action, e.champion[:12], e.challenger[:12], e.reason) for e in entries
    ]
    return markdown_table(["decided", "decision", "in force", "judged", "why"], cells)
