"""Occlusion: groups of past records that an explanation takes away, and who has such records."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from learn_assets.analyses.explanations.icd_chapters import chapter_of
from learn_assets.embedding.past_records import RemainingVectors
from learn_assets.modeling.features import EmbeddingBlock, FeatureBlocks
from learn_assets.study import KINDS

ALL_RECORDS = "all counted records"


@dataclass(frozen=True)
class CountOcclusion:
    """Count features set to 0, as if the records were not there; `affected` (n,) has some."""

    kind: str
    subject: str
    features: frozenset[str]
    affected: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TextOcclusion:
    """Vectors of one kind without some of its records; `affected` (n,) are those that change.

    vectors: float32 (affected, dimensions), rows in the order of the patients; `emptied` says which
    of them have no record left.
    """

    kind: str
    subject: str
    vectors: npt.NDArray[np.float32]
    emptied: npt.NDArray[np.bool_]
    affected: npt.NDArray[np.bool_]

    def applied(self, blocks: FeatureBlocks) -> FeatureBlocks:
        """Return the features of the same patients without these records."""
        return replace(
            blocks,
            embeddings=tuple(
                self._without(block) if block.kind == self.kind else block
                for block in blocks.embeddings
            ),
        )

    def _without(self, block: EmbeddingBlock) -> EmbeddingBlock:
        vectors, missing = block.vectors.copy(), block.missing.copy()
        vectors[self.affected] = np.where(self.emptied[:, None], 0.0, self.vectors)
        missing[self.affected] = self.emptied
        return EmbeddingBlock(block.kind, vectors, missing)


Occlusion = CountOcclusion | TextOcclusion


def count_occlusions(blocks: FeatureBlocks) -> list[CountOcclusion]:
    """Return an occlusion for the counts of each kind, and for each ICD chapter of diagnoses."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, name in enumerate(blocks.reference.count_names):
        kind, system, code = (*name.split("|"), "", "")[:3]
        if kind not in KINDS:
            continue
        groups.setdefault((kind, ALL_RECORDS), []).append(place)
        chapter = chapter_of(system, code) if kind == "diagnosis" else None
        if chapter is not None:
            groups.setdefault((kind, chapter), []).append(place)
    counted = blocks.counts.tocsc()
    found = []
    for (kind, subject), columns in sorted(groups.items()):
        affected = np.asarray((counted[:, columns] != 0).sum(axis=1)).ravel() > 0
        names = frozenset(blocks.reference.count_names[column] for column in columns)
        found.append(CountOcclusion(kind, subject, names, affected))
    return found


def text_occlusions(blocks: FeatureBlocks, left: RemainingVectors) -> list[TextOcclusion]:
    """Return an occlusion a kind, from vectors of the patients whose records were taken away.

    Patients and kinds that are not in `blocks` are ignored.
    """
    place = {patient_id: row for row, patient_id in enumerate(blocks.patient_ids.tolist())}
    kinds, patients = left.rows["kind"].to_numpy(), left.rows["patient_id"].to_list()
    emptied = left.rows["emptied"].to_numpy()
    known = np.array([patient in place for patient in patients], dtype=np.bool_)
    found = []
    for block in blocks.embeddings:
        rows = np.flatnonzero(known & (kinds == block.kind))
        positions = np.array([place[patients[row]] for row in rows], dtype=np.int64)
        rows = rows[np.argsort(positions, kind="stable")]
        affected = np.zeros(len(blocks), dtype=np.bool_)
        affected[positions] = True
        if len(rows):
            found.append(
                TextOcclusion(block.kind, left.subject, left.vectors[rows], emptied[rows], affected)
            )
    return found
