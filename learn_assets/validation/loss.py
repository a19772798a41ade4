"""Row loss: stops a run when a table lost so many rows that its source was probably misread.

What belongs here: the limit, the likely cause of each reason, and the sentence that names both.
Which row is refused, and for what, is decided in `readings.py` and `validate.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from learn_assets.disclosure import shown_parts, shown_share
from learn_assets.study import BaseStudy
from learn_assets.validation.reasons import Reason

# A few bad rows are what real extracts have. More than this for one reason is a misreading.
MOST_LOST = 0.05

# A duplicate loses nothing: the same row is kept once. A placeholder says how the site writes that
# it does not know the day, not that the day was misread.
NO_LOSS = frozenset({Reason.DUPLICATE_ROW.value, Reason.PLACEHOLDER_DATE.value})

_CAUSES: dict[str, str] = {
    Reason.WRONG_COLUMN_COUNT: "rows end in a delimiter that the header lacks, or another "
    "delimiter is used",
    Reason.BAD_ENCODING: "the file is not UTF-8 text but, as a rule, Windows-1252 (convert it: "
    "iconv -f WINDOWS-1252 -t UTF-8 old.csv > new.csv)",
    Reason.UNBALANCED_QUOTE: "texts hold a quotation mark or a line break that is not quoted",
    Reason.MISSING_PATIENT_ID: "the column of patient ids is empty or has another name",
    Reason.MISSING_CODE: "the column of codes is empty or has another name",
    Reason.LOST_DIGITS: "a spreadsheet wrote codes in scientific notation (export them as text)",
    Reason.UNKNOWN_CODE_SYSTEM: "the site spells its code systems in a way that is not known",
    Reason.MISSING_DESCRIPTION: "the column of descriptions is empty or has another name",
    Reason.MISSING_DATE: "the date column is empty, or the dates are in another column",
    Reason.PLACEHOLDER_DATE: "the site writes a placeholder for a date that it does not know",
    Reason.UNREADABLE_DATE: "dates are written neither YYYYMMDD nor YYYY-MM-DD, or day and month "
    "cannot be told apart (say `dates: {order: day_first}` or `month_first`)",
    Reason.IMPOSSIBLE_DATE: "day and month are exchanged (`dates.order`), or a placeholder stands "
    "for no date (`dates.placeholders`)",
    Reason.FUTURE_DATE: "de-identification shifted the dates (`dates.shifted`), a placeholder "
    "stands for no date (`dates.placeholders`), or the extract ends later than `dates.today`",
    Reason.UNREADABLE_VALUE: "the values have another unit, format or column than expected",
    Reason.UNKNOWN_PATIENT: "patient ids are written in another way than in the patient table, or "
    "the patient table is of another extract",
    Reason.BEFORE_BIRTH: "the years of birth are wrong, or a placeholder stands for no date",
    Reason.AFTER_DEATH: "the dates of death are wrong, or a placeholder stands for no date",
    Reason.CONFLICTING_ROW: "the table has several rows per patient or code where one is expected",
    "unreadable_admission_date": "dates are written neither DDMMYYYY HHMM nor YYYY-MM-DD",
    "sex_not_1_or_2": "sex is written in words or in another coding",
    "no_principal_diagnosis": "the column of the principal diagnosis is empty or has another name",
    "admitted_before_the_study": "`pruning.first_admission` is later than the discharges",
    "admitted_after_the_study": "`pruning.last_admission` is earlier than the discharges",
    "principal_diagnosis_not_of_the_study": "diagnoses are written in another coding than in "
    "`pruning.principal_diagnosis`",
    "age_not_of_the_study": "ages are in another unit than years, or `pruning` excludes all",
}


class RowLossError(RuntimeError):
    """A table kept no row, or lost more of its rows for one reason than the study accepts."""


def assert_rows_kept(
    study: BaseStudy,
    table: str,
    rows_in: int,
    reasons: Mapping[str, int],
    quarantine: str,
    *,
    no_loss: Collection[str] = NO_LOSS,
) -> None:
    """Raise RowLossError when a table lost too much; the message is one sentence without values.

    reasons: refused rows per reason. quarantine: the table that holds them. no_loss: reasons for
    which any share may be refused, as long as a row is left. The most frequent reason that is above
    its limit is named.
    """
    above = {
        reason: count
        for reason, count in reasons.items()
        if reason not in no_loss
        and count > rows_in * study.accepted_loss.get(f"{table}.{reason}", MOST_LOST)
    }
    nothing_kept = rows_in > 0 and sum(reasons.values()) == rows_in
    if not above and not nothing_kept:
        return
    candidates = above or reasons
    reason = max(candidates, key=lambda name: candidates[name])
    cause = f"the likely cause is that {likely_cause(reason)}; "
    remedy = (
        "mend the source"
        if nothing_kept
        else "mend the source, or name the share that is right here in the study file with "
        f"`accepted_loss: {{{table}.{reason}: <share>}}`"
    )
    raise RowLossError(
        f"{table}: {_lost(study, candidates[reason], rows_in)} refused as `{reason}`"
        f"{', and no row is left' if nothing_kept else ''}; {cause}look at "
        f"`source_file` and `source_row` in the table `{quarantine}` and {remedy}"
    )


def likely_cause(reason: str) -> str:
    """Return what most often lies behind a reason, in words. KeyError when nothing is known."""
    return _CAUSES[reason]


def _lost(study: BaseStudy, count: int, rows_in: int) -> str:
    """Return how much was lost in words, coarse where the rows that are left are few."""
    minimum = study.privacy.minimum_cell
    share = shown_share(count, rows_in, minimum)
    lost, left = shown_parts([count, rows_in - count], minimum)
    if lost.value is None or left.value is None:
        return f"{share} of the rows were" if share != "-" else f"{lost} rows were"
    return f"{lost} of {rows_in:,} rows ({share}) were"
