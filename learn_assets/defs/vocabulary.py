"""Group vocabulary, Python side: code lists, packaged ICD titles, and the check on coverage."""

import dagster as dg

from learn_assets.defs.metadata import table_result, table_spec
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import data_step
from learn_assets.disclosure import shown_share
from learn_assets.sources.concepts import code_systems_of_source, concept_resolver
from learn_assets.study import Study
from learn_assets.vocabulary.code_lists import resolve_code_lists
from learn_assets.vocabulary.coverage import coverage_below
from learn_assets.vocabulary.icd import packaged_descriptions


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the code lists and the packaged descriptions."""
    return [_code_list(study), _packaged_description(study)]


def asset_checks(study: Study) -> list[dg.AssetChecksDefinition]:
    """Return the check that stops narratives when too few records have a description."""

    @dg.asset_check(
        asset="code_description",
        name="coverage",
        blocking=True,
        additional_deps=["description_coverage"],
        description=(
            f"At least {study.vocabulary.minimum_coverage:.0%} of the records of each kind have a "
            "description; `unmapped_codes` lists the codes that have none."
        ),
    )
    def coverage(lake: LakeResource) -> dg.AssetCheckResult:
        shares = coverage_below(study, lake.open().read("description_coverage"))
        shown = {
            kind: shown_share(*counts, study.privacy.minimum_cell)
            for kind, counts in shares.counts.items()
        }
        return dg.AssetCheckResult(
            passed=not shares.below,
            description=_paragraph(study, {kind: shown[kind] for kind in shares.below}),
            metadata=dict(shown),
        )

    return [coverage]


def _paragraph(study: Study, below: dict[str, str]) -> str | None:
    if not below:
        return None
    shares = ", ".join(f"{share} of the {kind} records" for kind, share in below.items())
    return (
        f"{shares} have a description, {study.vocabulary.minimum_coverage:.0%} are needed. The "
        "table `unmapped_codes` lists the codes without one. Give the source a terminology file "
        "or an RxNorm release that has them, or lower `vocabulary.minimum_coverage` in the study "
        "file."
    )


def _code_list(study: Study) -> dg.AssetsDefinition:
    spec = table_spec(
        "code_list", group="vocabulary", owner=study.owner, kinds={"polars", "parquet"}, deps=[]
    )

    @dg.multi_asset(name="code_list", specs=[spec])
    def code_list(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with data_step(context, study, lake) as opened:
            frame = resolve_code_lists(
                study, concept_resolver(study, opened), code_systems_of_source(study, opened)
            )
            stamp = opened.write("code_list", frame)
            return table_result(study, "code_list", stamp, lists=frame["list"].n_unique())

    return code_list


def _packaged_description(study: Study) -> dg.AssetsDefinition:
    spec = table_spec(
        "packaged_description",
        group="vocabulary",
        owner=study.owner,
        kinds={"polars", "parquet"},
        deps=[],
    )

    @dg.multi_asset(name="packaged_description", specs=[spec])
    def packaged_description(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with data_step(context, study, lake) as opened:
            stamp = opened.write("packaged_description", packaged_descriptions())
            return table_result(study, "packaged_description", stamp)

    return packaged_description
