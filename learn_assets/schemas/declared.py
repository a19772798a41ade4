"""What is declared of an asset: contract, stage, and where it is shown.

What belongs here: the stages and the row that a contract's module fills; `registry` collects them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from learn_assets.schemas.records import Table

# The stages of a study of progression, each a job, in the order they are made.
DATA_TABLES = "data_tables"
COHORT_TABLES = "cohort_tables"
RISK_MODELS = "risk_models"
SENSITIVITY = "sensitivity"
TRANSFER = "transfer"
RESULTS = "results"
# Those of a subtypes study.
SUBTYPES_DATA = "subtypes_data"
LANGUAGE_MODELS = "language_models"
SUBTYPE_CLUSTERS = "subtype_clusters"
SUBTYPE_RESULTS = "subtype_results"

Partitioning = Literal["window", "cell", "sex"]
# A job's assets share their partitions. Whether a language model has any is a choice of the study.
PARTITIONED_BY: dict[str, Partitioning] = {
    COHORT_TABLES: "window",
    RISK_MODELS: "cell",
    SENSITIVITY: "cell",
    TRANSFER: "cell",
    SUBTYPE_CLUSTERS: "sex",
}


@dataclass(frozen=True)
class Declared:
    """What the code has to know of an asset.

    contract: none of what is no table (models, a page) or has no fixed columns. fingerprint: where
    it may be shown. It stays `hidden` where the few numbers of a table, masked ones too, could be
    guessed from it. Only tables with patient identifiers are on the `page`. in_report: whether a
    section of the report reads the table. arrives: whether a site sends the table, which makes it
    three: as it came, validated, and the rows that were refused.
    """

    stage: str
    contract: type[Table] | None = None
    fingerprint: Literal["hidden", "metadata", "page"] = "hidden"
    in_report: bool = False
    arrives: bool = False
