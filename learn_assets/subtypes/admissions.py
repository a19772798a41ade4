"""Admissions of one sex: rows of the discharges, their codes and their patients, in one order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from learn_assets.subtypes.coded import CodedAdmissions


@dataclass(frozen=True)
class SexAdmissions:
    """What is clustered together: n discharges in the order of the table.

    `patients` (n) numbers the patient of each admission; None when the file links none. An
    admission without a link is a patient of its own.
    """

    sex: str
    discharges: pl.DataFrame
    coded: CodedAdmissions
    patients: npt.NDArray[np.int64] | None

    def __len__(self) -> int:
        return self.discharges.height

    @property
    def ids(self) -> pl.Series:
        """Return admission_id (n)."""
        return self.discharges["admission_id"]


def admissions_of(discharges: pl.DataFrame, sex: str) -> SexAdmissions:
    """Return the admissions of one sex, coded in the codes of both, so spaces can be shared.

    discharges: as the contract of that table says.
    """
    of_sex = discharges.filter(pl.col("sex") == sex)
    codes = discharges["diagnoses"].explode(empty_as_null=False).unique().sort().to_list()
    coded = CodedAdmissions.of(of_sex["diagnoses"].to_list(), codes)
    return SexAdmissions(sex, of_sex, coded, _patients(of_sex))


def _patients(discharges: pl.DataFrame) -> npt.NDArray[np.int64] | None:
    if discharges["patient_number"].is_null().all():
        return None
    alone = pl.format("admission {}", "admission_id")
    names = discharges.select(name=pl.coalesce("patient_number", alone))["name"]
    return names.rank("dense").cast(pl.Int64).to_numpy()
