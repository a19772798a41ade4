"""Row loss: a table that was misread stops the run, and the sentence gives no small count away."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from learn_assets.subtypes.pruning import CHOSEN, DiscardReason
from learn_assets.validation.loss import NO_LOSS, RowLossError, assert_rows_kept, likely_cause
from learn_assets.validation.reasons import Reason
from learn_assets_tests.canonical import study_of


def judge(rows_in: int, accepted: dict[str, float] | None = None, **reasons: int) -> None:
    study = study_of(accepted_loss=accepted or {})
    assert_rows_kept(study, "diagnosis", rows_in, reasons, "diagnosis_quarantine")


def test_the_sentence_names_table_reason_count_cause_and_key() -> None:
    with pytest.raises(RowLossError) as caught:
        judge(1000, unknown_patient=60)
    message = str(caught.value)
    for part in ("diagnosis", "60 of 1,000", "unknown_patient", "ids", "diagnosis_quarantine"):
        assert part in message
    assert "accepted_loss: {diagnosis.unknown_patient: <share>}" in message
    assert "\n" not in message


def test_five_percent_for_each_reason_are_kept_going() -> None:
    judge(1000, unknown_patient=50, future_date=50, missing_code=50)


def test_the_key_that_the_sentence_names_lets_the_run_go_on() -> None:
    judge(1000, {"diagnosis.unknown_patient": 0.07}, unknown_patient=60)
    with pytest.raises(RowLossError):
        judge(1000, {"diagnosis.unknown_patient": 0.07}, unknown_patient=60, future_date=60)


def test_a_table_that_keeps_nothing_cannot_be_accepted() -> None:
    with pytest.raises(RowLossError) as caught:
        judge(760, {"diagnosis.wrong_column_count": 1.0}, wrong_column_count=760)
    assert "no row is left" in str(caught.value)
    assert "accepted_loss" not in str(caught.value)


def test_a_few_reasons_together_can_leave_nothing() -> None:
    accepted = {"diagnosis.future_date": 0.9, "diagnosis.missing_code": 0.9}
    with pytest.raises(RowLossError):
        judge(100, accepted, future_date=60, missing_code=40)


def test_what_a_study_excludes_by_its_rules_is_no_loss_until_nothing_is_left() -> None:
    study = study_of()

    def judge_discharges(early: int) -> None:
        reasons = {"admitted_before_the_study": early}
        assert_rows_kept(study, "discharges", 500, reasons, "discarded", no_loss=CHOSEN)

    judge_discharges(499)
    with pytest.raises(RowLossError, match=r"no row is left.*pruning\.first_admission"):
        judge_discharges(500)


def test_an_empty_table_and_duplicates_lose_nothing() -> None:
    judge(0)
    judge(100, duplicate_row=90)


@pytest.mark.parametrize(("rows_in", "lost"), [(760, 757), (60, 9), (8, 5)])
def test_small_counts_are_not_written(rows_in: int, lost: int) -> None:
    with pytest.raises(RowLossError) as caught:
        judge(rows_in, future_date=lost)
    message = str(caught.value)
    assert str(lost) not in message
    assert str(rows_in - lost) not in message


@pytest.mark.parametrize(
    "reason", [*(reason for reason in Reason if reason not in NO_LOSS), *DiscardReason]
)
def test_every_reason_has_a_likely_cause(reason: str) -> None:
    assert likely_cause(reason)


def test_a_share_above_one_is_refused_by_the_study() -> None:
    with pytest.raises(ValidationError):
        study_of(accepted_loss={"diagnosis.future_date": 5})
