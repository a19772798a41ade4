"""Feature blocks: every patient stays, absent means what it should, columns line up."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from learn_assets.modeling.features import (
    DuplicatePatientError,
    FeatureBlocks,
    FeatureReference,
    build_feature_blocks,
)

ROSTER = pl.DataFrame(
    {"patient_id": ["b", "a", "c"], "age_at_index": [30.0, None, 50.0], "sex": ["F", "M", "U"]}
)
COUNTS = pl.DataFrame(
    {
        "patient_id": ["a", "a", "c", "stranger", "b"],
        "feature": [
            "diagnosis|X|1",
            "medication|X|2",
            "diagnosis|X|1",
            "diagnosis|X|9",
            "supplied|crp",
        ],
        "count": [2.0, 1.0, 5.0, 7.0, 0.0],
    }
)
VALUES = pl.DataFrame({"patient_id": ["b"], "feature": ["lab_result|LOINC|1"], "value": [0.5]})
VECTORS = pl.DataFrame(
    {"patient_id": ["a", "b", "a"], "kind": ["diagnosis", "diagnosis", "medication"]}
)
VECTORS = VECTORS.with_columns(
    pl.Series("vector", [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=pl.Array(pl.Float32, 2))
)


def build(**options: bool) -> FeatureBlocks:
    return build_feature_blocks(ROSTER, COUNTS, VALUES, VECTORS, **options)


def test_rows_are_sorted_and_hold_what_the_tables_say() -> None:
    blocks = build()
    assert blocks.patient_ids.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(
        blocks.demographics, np.array([[np.nan, 0, 1, 0], [30, 1, 0, 0], [50, 0, 0, 1]])
    )
    assert blocks.reference.count_names == ("diagnosis|X|1", "medication|X|2")
    np.testing.assert_array_equal(blocks.counts.toarray(), [[2, 1], [0, 0], [5, 0]])


def test_a_missing_measurement_is_not_zero_and_a_supplied_zero_is_not_missing() -> None:
    blocks = build()
    assert blocks.reference.measurement_names == ("lab_result|LOINC|1", "supplied|crp")
    np.testing.assert_array_equal(
        blocks.measurements, [[np.nan, np.nan], [0.5, 0.0], [np.nan, np.nan]]
    )


def test_a_patient_without_a_kind_stays_with_a_flag() -> None:
    diagnosis, medication = build().embeddings
    np.testing.assert_array_equal(diagnosis.missing, [False, False, True])
    np.testing.assert_array_equal(medication.missing, [False, True, True])
    np.testing.assert_array_equal(diagnosis.vectors[2], [0, 0])


def test_medication_can_be_left_out() -> None:
    blocks = build(include_medication=False)
    assert blocks.reference.count_names == ("diagnosis|X|1",)
    assert [block.kind for block in blocks.embeddings] == ["diagnosis"]


def test_empty_tables_give_blocks_without_columns() -> None:
    blocks = build_feature_blocks(ROSTER, COUNTS.clear(), VALUES.clear(), VECTORS.clear())
    assert blocks.counts.shape == (3, 0)
    assert blocks.measurements.shape == (3, 0)
    assert blocks.embeddings == ()
    assert len(build_feature_blocks(ROSTER.clear(), COUNTS, VALUES, VECTORS)) == 0


def test_new_patients_line_up_with_a_reference() -> None:
    reference = FeatureReference(
        ("diagnosis|X|0", "medication|X|2"),
        ("supplied|crp", "supplied|unheard"),
        (("procedure", 3), ("diagnosis", 2)),
    )
    aligned = build().aligned(reference)
    np.testing.assert_array_equal(aligned.counts.toarray(), [[0, 1], [0, 0], [0, 0]])
    assert aligned.measurements[1, 0] == 0.0
    assert np.isnan(aligned.measurements[:, 1]).all()
    assert aligned.embeddings[0].missing.all()
    np.testing.assert_array_equal(aligned.embeddings[1].vectors[0], [1, 0])


def test_vectors_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="dimensions"):
        build().aligned(FeatureReference((), (), (("diagnosis", 4),)))


def test_a_patient_that_stands_twice_is_refused_without_naming_it() -> None:
    twice = pl.concat([ROSTER, ROSTER[:1].with_columns(patient_id=pl.lit("a"))])
    with pytest.raises(DuplicatePatientError) as raised:
        build_feature_blocks(twice, COUNTS, VALUES, VECTORS)
    assert "'a'" not in str(raised.value)


def test_positions_refuses_unknown_patients() -> None:
    assert build().positions(["c", "a"]).tolist() == [2, 0]
    with pytest.raises(KeyError, match="1 patients"):
        build().positions(["a", "stranger"])
