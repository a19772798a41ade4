"""Nuisance audit: do the clusters say what is wrong with people, or how records were kept?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.subtypes.clustering import Labels

# The published clusters failed here: for most admissions they followed from this number.
BLOCKING = "number_of_diagnoses"
_STAY_GROUPS = 10


@dataclass(frozen=True)
class NuisanceFinding:
    """Adjusted mutual information of the clusters with one nuisance.

    `blocking` says that `limit` decides whether the clusters may be used.
    """

    nuisance: str
    adjusted_mutual_information: float
    limit: float
    blocking: bool

    @property
    def passed(self) -> bool:
        """Whether the clusters say less of the nuisance than the limit, or may say more."""
        return not self.blocking or self.adjusted_mutual_information < self.limit


def audit_nuisance(
    labels: Labels, nuisances: Mapping[str, npt.NDArray[np.int64]], limit: float
) -> tuple[NuisanceFinding, ...]:
    """Return the adjusted mutual information of labels (n) with each nuisance (n, as numbers).

    0 is what chance gives and 1 means that one follows from the other (Vinh et al. 2010, arithmetic
    mean). Only the number of diagnoses blocks: years, regions and stays may differ by disease.
    """
    return tuple(
        NuisanceFinding(name, shared_information(values, labels), limit, name == BLOCKING)
        for name, values in nuisances.items()
    )


def shared_information(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """Return adjusted mutual information; 0 when one of the two is the same for everybody.

    Two constants would otherwise count as in full agreement, and a single cluster as an artefact.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    if len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return 0.0
    return float(adjusted_mutual_info_score(first, second))


def nuisances_of(discharges: pl.DataFrame) -> dict[str, npt.NDArray[np.int64]]:
    """Return number of diagnoses, year, region and stay (in tenths) of discharges, as numbers.

    A missing region or stay is a group of its own.
    """
    stay = discharges["stay_days"].cast(pl.Float64)
    tenths = (
        np.unique(np.quantile(known, np.linspace(0, 1, _STAY_GROUPS + 1)[1:-1]))
        if len(known := stay.drop_nulls().to_numpy())
        else np.empty(0)
    )
    groups = np.searchsorted(tenths, stay.fill_null(-1.0).to_numpy(), side="right") + 1
    return {
        BLOCKING: discharges["diagnoses"].list.len().cast(pl.Int64).to_numpy(),
        "year": discharges["year"].cast(pl.Int64).to_numpy(),
        "region": _numbered(discharges["region"]),
        "length_of_stay": np.where(stay.is_null().to_numpy(), 0, groups).astype(np.int64),
    }


def _numbered(column: pl.Series) -> npt.NDArray[np.int64]:
    return column.fill_null("").rank("dense").cast(pl.Int64).to_numpy()
