"""Asset of the leave-one-site-out results."""

import dagster as dg

from learn_assets import provenance
from learn_assets.analyses.site_holdout.computation import site_holdout, site_splits
from learn_assets.analyses.site_holdout.figure import site_forest
from learn_assets.analyses.site_holdout.words import sites_table
from learn_assets.defs.cell_tables import NOT_ASKED, empty_because, written
from learn_assets.defs.metadata import figure_entry
from learn_assets.defs.models import cell_inputs
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step
from learn_assets.evaluation.comparison import ModelName
from learn_assets.modeling.lake_cell import load_cell
from learn_assets.modeling.sensitivity import sensitivity_protocol
from learn_assets.schemas.registry import empty_frame
from learn_assets.study import Study


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset of all other institutions' models at each one."""
    return [_site_holdout(study)]


def _site_holdout(study: Study) -> dg.AssetsDefinition:
    @cell_asset(
        study,
        "site_holdout",
        [*cell_inputs(), "cross_validation", "care_site"],
        "Models of all other institutions of a network at each one; empty when not stated.",
    )
    def sites(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            protocol = sensitivity_protocol(study)
            frame, reason = empty_frame("site_holdout"), NOT_ASKED
            if "site" in study.sensitivity.analyses:
                splits = site_splits(
                    step.lake.read("cohort", step.window),
                    step.lake.read("care_site"),
                    study.privacy.minimum_cell,
                )
                reason = splits.reason or ""
                if splits.reason is None:
                    judged = site_holdout(
                        load_cell(study, step.lake, step.window, step.encoder),
                        splits,
                        step.lake.read("cross_validation", step.window, step.encoder.id),
                        protocol,
                    )
                    for warning in judged.warnings:
                        context.log.warning(warning)
                    frame, reason = judged.frame, judged.reason or ""
            feature_set = protocol.feature_sets[-1]
            drawn = site_forest(frame, ModelName(feature_set, protocol.learners[0]), "sites")
            return written(
                study,
                step,
                "site_holdout",
                frame,
                empty_because=empty_because(frame, reason),
                sites=dg.MetadataValue.md(sites_table(frame)),
                forest=figure_entry(drawn),
            )

    return sites
