"""Partitions: windows and encoders as static keys read from the study, heaviest first."""

import dagster as dg

from learn_assets.schemas.registry import partitioned_by
from learn_assets.study import BaseStudy, EncoderChoice, Study
from learn_assets.study.subtypes import SEXES
from learn_assets.study.windows import Window


def window_partitions(study: Study) -> dg.StaticPartitionsDefinition:
    """Return one partition a window, in the order of the study file."""
    return dg.StaticPartitionsDefinition([window.key for window in study.windows])


def cell_partitions(study: Study) -> dg.MultiPartitionsDefinition:
    """Return one partition a cell: window x encoder."""
    return dg.MultiPartitionsDefinition(
        {
            "window": window_partitions(study),
            "encoder": dg.StaticPartitionsDefinition([encoder.id for encoder in study.encoders]),
        }
    )


def sex_partitions() -> dg.StaticPartitionsDefinition:
    """Return one partition a sex."""
    return dg.StaticPartitionsDefinition(list(SEXES))


def partitions_of(study: BaseStudy, asset: str) -> dg.PartitionsDefinition | None:
    """Return the partitions of an asset in a study; None when its stage has none."""
    by = partitioned_by(asset)
    if by == "sex":
        return sex_partitions()
    if not isinstance(study, Study) or by is None:
        return None
    return window_partitions(study) if by == "window" else cell_partitions(study)


def cell_key(window: Window, encoder: EncoderChoice) -> dg.MultiPartitionKey:
    """Return the partition key of a cell."""
    return dg.MultiPartitionKey({"window": window.key, "encoder": encoder.id})


def cell_of(context: dg.AssetExecutionContext, study: Study) -> tuple[Window, EncoderChoice]:
    """Return the window and the encoder of the partition being materialized."""
    key = context.partition_key
    if not isinstance(key, dg.MultiPartitionKey):
        raise TypeError("this asset is partitioned by window x encoder")
    keys = key.keys_by_dimension
    return study.window(keys["window"]), study.encoder(keys["encoder"])


def on_window(asset: str) -> dg.AssetDep:
    """Depend on the same window of an asset that is partitioned by window only."""
    return dg.AssetDep(asset, partition_mapping=dg.MultiToSingleDimensionPartitionMapping("window"))


def on_all_cells(asset: str) -> dg.AssetDep:
    """Depend on every partition of an asset."""
    return dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping())
