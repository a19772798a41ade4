"""What Dagster keeps of a run: counts and names of rules, never anything of a patient."""

from __future__ import annotations

import dagster as dg
import polars as pl

from learn_assets_tests.defs.made import (
    MadeStudy,
    found_in,
    patient_ids,
    stored_texts,
)

# Shorter texts are titles of codes, which stand in vocabularies as well.
LONG_TEXT = 60


def narrative_parts(made: MadeStudy) -> list[str]:
    texts = made.lake.read("narratives")["text"]
    return texts.filter(texts.str.len_chars() > LONG_TEXT).str.slice(0, LONG_TEXT).to_list()


def test_no_patient_id_and_no_narrative_is_kept_by_a_full_run(made: MadeStudy) -> None:
    with made.instance() as instance:
        texts = list(stored_texts(instance))
    assert len(texts) > 500
    assert any("dagster/row_count" in text for text in texts)
    assert len(patient_ids(made.lake)) > 100
    assert found_in(texts, patient_ids(made.lake)) == 0
    assert len(narrative_parts(made)) > 50
    assert found_in(texts, narrative_parts(made)) == 0


def test_no_quarantined_record_is_kept_by_a_full_run(made: MadeStudy) -> None:
    with made.instance() as instance:
        texts = list(stored_texts(instance))
    records = made.lake.read("diagnosis_quarantine")["record"].drop_nulls().unique().to_list()
    assert len(records) > 10
    assert found_in(texts, records) == 0


def test_the_search_finds_what_is_there(made: MadeStudy) -> None:
    needles = patient_ids(made.lake)
    assert found_in([f"patient {needles[0]} failed"], needles) == 1


def test_small_counts_are_masked_in_metadata(made: MadeStudy) -> None:
    small = made.study.privacy.minimum_cell
    with made.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("diagnosis_quarantine"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    reasons = dict(made.lake.read("diagnosis_quarantine").group_by("reason").len().iter_rows())
    assert min(reasons.values()) < small
    for reason, rows in reasons.items():
        shown = metadata[reason].value
        assert shown == (rows if rows >= small else f"<{small}")


def test_failing_runs_keep_nothing_of_a_patient_either(copied: MadeStudy) -> None:
    spoiled = copied.spoiling("patient_embeddings", 0, kind="unheard_of")
    first = copied.run_job("risk_models", window=0, definitions=spoiled)
    window = copied.study.windows[1]
    cohort = copied.lake.read("cohort", window)
    copied.lake.write("cohort", pl.concat([cohort, cohort[:3]]), window=window)
    second = copied.run_job("risk_models", window=1, definitions=spoiled)
    assert not first.success
    assert not second.success
    with copied.active(), copied.instance() as instance:
        texts = list(stored_texts(instance))
    assert any("DuplicatePatientError" in text for text in texts)
    assert found_in(texts, patient_ids(copied.lake)) == 0
    assert found_in(texts, narrative_parts(copied)) == 0
