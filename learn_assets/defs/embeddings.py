"""Group embeddings: the vectors of each patient and kind, one partition a window and encoder."""

import dagster as dg

from learn_assets import provenance
from learn_assets.defs.checks import check_result, judged, place_of
from learn_assets.defs.metadata import COLUMN_SCHEMA, table_result
from learn_assets.defs.partitions import cell_partitions, on_window
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_step
from learn_assets.embedding.cell import cell_narratives, embed_cell
from learn_assets.embedding.statistics import EmbeddingStatistics
from learn_assets.embedding.vectors import COLUMNS, check_vectors
from learn_assets.study import Study
from learn_assets.validation.contracts import CheckOutcome

# A run may name the device, as torch spells it; the sensor does so when only the CPU has room.
DEVICE_TAG = "learn_assets/device"
GPU_POOL = "gpu"


def assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the asset that embeds the narratives of a cell's patients."""
    return [_patient_embeddings(study)]


def asset_checks(study: Study) -> list[dg.AssetChecksDefinition]:
    """Return the blocking check that every narrative has one finite vector of length 1."""
    return [_vectors_check(study)]


def _patient_embeddings(study: Study) -> dg.AssetsDefinition:
    @dg.asset(
        name="patient_embeddings",
        group_name="embeddings",
        owners=[study.owner],
        kinds={"pytorch", "huggingface", "parquet"},
        pool=GPU_POOL,
        partitions_def=cell_partitions(study),
        deps=[
            "narratives",
            "concept_mentions",
            on_window("cohort"),
            on_window("scoring_population"),
        ],
        metadata={COLUMN_SCHEMA: _columns()},
        description="One vector a patient and kind: the mean of its chunks by tokens, or of its "
        "descriptions by recency.",
    )
    def patient_embeddings(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        with cell_step(context, study, lake, provenance.embedding_inputs) as step:
            embedded = embed_cell(
                study,
                step.lake,
                step.window,
                step.encoder,
                device=context.run.tags.get(DEVICE_TAG),
            )
            stats = embedded.statistics
            return table_result(
                study,
                "patient_embeddings",
                embedded.stamp,
                counts={"patients": embedded.patients},
                windows_prepared=embedded.windows,
                **shown_numbers(stats),
            )

    return patient_embeddings


def shown_numbers(stats: EmbeddingStatistics) -> dict[str, int | float | str]:
    """Return what the metadata of a cell says of its run; chunks are pieces of text, not people."""
    numbers: dict[str, int | float | str] = {
        "chunks": stats.chunks,
        "chunks_embedded": stats.embedded,
        "chunks_reused": stats.reused,
        "share_reused": round(stats.reused_share, 4),
        "tokens_per_second": round(stats.tokens_per_second),
        "texts_per_second": round(stats.texts_per_second, 1),
        "share_of_padding": round(stats.padding_share, 4),
        "seconds": round(stats.seconds, 2),
    }
    observed = stats.observation
    if observed is not None:
        numbers |= {"backend": observed.backend, "device": observed.device}
        if observed.peak_memory_bytes is not None:
            numbers["peak_memory_gib"] = round(observed.peak_memory_bytes / 2**30, 2)
    if stats.share_of_peak is not None:
        numbers["share_of_peak"] = round(stats.share_of_peak, 3)
    return numbers


def _vectors_check(study: Study) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="patient_embeddings",
        name="contract",
        blocking=True,
        partitions_def=cell_partitions(study),
        description="One finite vector of length 1 for each patient and kind with a narrative.",
    )
    def contract(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> dg.AssetCheckResult:
        window_key, encoder = place_of(context)
        opened = lake.open()
        narratives = cell_narratives(study, opened, study.window(str(window_key)))

        def judge() -> CheckOutcome:
            return check_vectors(
                opened.read("patient_embeddings", window_key, encoder),
                narratives.select("patient_id", "kind").collect(),
            )

        return check_result(study, judged(context, opened, "patient_embeddings", judge))

    return contract


def _columns() -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=name, type=dtype, description=description)
            for name, (dtype, description) in COLUMNS.items()
        ]
    )
