"""SQL assets: the dbt models, run in process; their graph, docs and tests come from dagster-dbt."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from learn_assets import provenance
from learn_assets.defs.metadata import COLUMN_SCHEMA, column_schema, shown_count, table_result
from learn_assets.defs.partitions import window_partitions
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import begin_step, data_inputs
from learn_assets.disclosure import shown_parts
from learn_assets.lake import Lake
from learn_assets.library_errors import values_hidden
from learn_assets.schemas.registry import TABLES
from learn_assets.study import Study
from learn_assets.study.windows import Window
from learn_assets.warehouse import (
    TestResult,
    WarehouseReport,
    manifest_path,
    model_names,
    run_models,
    windowed_models,
)

VOCABULARY_TABLES = (
    "ndc_to_rxnorm",
    "rxnorm_name",
    "normalized_medication",
    "code_description",
    "unmapped_codes",
    "description_coverage",
)

# More of them are in the table `index_results`.
_TEXTS_NAMED = 10

# One asset reads a release into four tables; its SQL must wait for that asset.
_ASSET_OF_SOURCE = {part: asset for asset, parts in provenance.PARTS.items() for part in parts}


class Translator(DagsterDbtTranslator):
    """Names dbt nodes as the other assets are named, and adds owner, group and column schema."""

    def __init__(self, owner: str, also_after: Sequence[str] = ()) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
        self.owner = owner
        self.also_after = also_after

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetSpec:
        """Return the spec of a model or source under its plain table name."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        table = unique_id.rsplit(".", maxsplit=1)[-1]
        properties = self.get_resource_props(manifest, unique_id)
        schema = {COLUMN_SCHEMA: column_schema(table)} if table in TABLES else {}
        return spec.merge_attributes(deps=self.also_after).replace_attributes(
            key=dg.AssetKey(_ASSET_OF_SOURCE.get(table, table)),
            group_name=_group(properties),
            owners=[self.owner],
            kinds={"dbt", "duckdb", "parquet"},
            description=properties.get("description") or spec.description,
            metadata={**spec.metadata, **schema},
        )


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the dbt models as three ops: vocabulary, then the other tables, then one a window.

    The vocabulary is an op of its own so that too few described records stop the narratives.
    """
    # The project is parsed once for each lake, which keeps what was found.
    lake = Lake.open(study.name, study.lake.home)
    manifest = json.loads(manifest_path(lake).read_text(encoding="utf-8"))
    windowed = set(windowed_models(lake))
    vocabulary = _with_upstream(manifest, VOCABULARY_TABLES)
    rest = set(model_names(lake)) - windowed - vocabulary
    return [
        _sql_op(study, manifest, "vocabulary_models", vocabulary),
        # No SQL reads it: data that fail their expectations stop the cohort.
        _sql_op(study, manifest, "record_models", rest, also_after=("data_quality",)),
        _sql_op(study, manifest, "window_models", windowed, window_partitions(study)),
    ]


def _sql_op(
    study: Study,
    manifest: Mapping[str, Any],
    name: str,
    models: Iterable[str],
    partitions: dg.PartitionsDefinition | None = None,
    *,
    also_after: Sequence[str] = (),
) -> dg.AssetsDefinition:
    @dbt_assets(
        manifest=manifest,
        select=" ".join(sorted(models)),
        name=name,
        partitions_def=partitions,
        dagster_dbt_translator=Translator(study.owner, also_after),
    )
    def sql(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
        opened = lake.open()
        window = study.window(context.partition_key) if context.has_partition_key else None
        tables = sorted(key.path[-1] for key in context.selected_asset_keys)
        finish = begin_step(context, opened, _inputs(study, opened, window), window)
        with values_hidden():
            report = run_models(study, opened, tables, window)
        _warn(context, report, window)
        if any(model.table == "index_results" for model in report.models):
            context.log.info(index_results_in_words(study, opened.read("index_results")))
        yield from _results(context, study, report)
        for table in sorted({test.table for test in report.failed_tests}):
            _refuse(opened, table, window)
        if not report.failed_tests:
            finish()

    return sql


def _results(
    context: dg.AssetExecutionContext, study: Study, report: WarehouseReport
) -> Iterator[Any]:
    for model in report.models:
        yield table_result(study, model.table, model.stamp, seconds=round(model.seconds, 3))
    wanted = {check.name for check in context.selected_asset_check_keys}
    for test in report.tests:
        if test.name in wanted:
            yield dg.AssetCheckResult(
                asset_key=test.table,
                check_name=test.name,
                passed=test.passed,
                description=None if test.passed else _paragraph(study, test),
                metadata={"failing_rows": shown_count(study, test.failing_rows)},
            )


def _paragraph(study: Study, test: TestResult) -> str:
    meaning = test.description or f"The dbt test `{test.name}` holds for every row."
    rows = shown_count(study, test.failing_rows)
    return (
        f"{meaning} {rows} rows of `{test.table}` contradict it. Nothing is made from this table. "
        "Report a defect if the tables before it are as they should be."
    )


def _refuse(lake: Lake, table: str, window: Window | None) -> None:
    place = window if lake.stamp(table, window) else None
    stamp = lake.stamp(table, place)
    if stamp is not None:
        provenance.record_verdict(lake, table, stamp.fingerprint, place, passed=False)


def _warn(
    context: dg.AssetExecutionContext, report: WarehouseReport, window: Window | None
) -> None:
    built = {model.table: model.stamp.rows for model in report.models}
    if window is not None and built.get("cohort") == 0:
        context.log.warning(
            f"the cohort of {window.key} is empty: nobody passes every rule; the table `attrition` "
            "says which rule removed whom"
        )
    if built.get("index_events") == 0:
        context.log.warning("no patient has an index event; look at the study's index rule")


def index_results_in_words(study: Study, results: pl.DataFrame) -> str:
    """Return how the index rule read the results of its test, small counts masked.

    A text is named only if as many patients have it as a count needs to be shown.
    """
    minimum = study.privacy.minimum_cell
    if results.is_empty():
        return "the index rule asks for no laboratory value"
    by_match = dict(results.group_by("matched").agg(pl.col("results").sum()).iter_rows())
    number, word, none = shown_parts(
        [by_match.get(name, 0) for name in ("number", "word", "none")], minimum
    )
    told = f"results of the index test: {number} match by number, {word} by word, {none} not at all"
    common = results.filter(
        (pl.col("matched") == "none")
        & (pl.col("patients") >= minimum)
        & pl.col("text").is_not_null()
    ).head(_TEXTS_NAMED)
    if common.is_empty():
        return told
    named = ", ".join(
        f"`{text}` ({shown_count(study, count)})"
        for text, count in common.select("text", "results").iter_rows()
    )
    return f"{told}; the commonest that no rule matches: {named}"


def _inputs(study: Study, lake: Lake, window: Window | None) -> str:
    if window is None:
        return data_inputs(study, lake)
    return provenance.window_inputs(study, lake, window)


def _group(properties: Mapping[str, Any]) -> str:
    # Models lie in models/{marts,intermediate}/<group>/.
    folders: Sequence[str] = properties.get("fqn", [])
    layer = next((part for part in ("marts", "intermediate") if part in folders), None)
    return "validated" if layer is None else folders[folders.index(layer) + 1]


def _with_upstream(manifest: Mapping[str, Any], tables: Iterable[str]) -> set[str]:
    """Return the tables and every model upstream of them that becomes a table."""
    nodes = manifest["nodes"]
    by_name = {node["name"]: key for key, node in nodes.items() if node["resource_type"] == "model"}
    queue = [by_name[table] for table in tables]
    found: set[str] = set()
    while queue:
        node = nodes.get(queue.pop())
        if node is None or node["name"] in found or node["resource_type"] != "model":
            continue
        queue.extend(node["depends_on"]["nodes"])
        if node["config"]["materialized"] == "external":
            found.add(node["name"])
    return found
