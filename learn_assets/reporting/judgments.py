"""Judgments: an answer to a signalling question of PROBAST, with what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

YES, PROBABLY_YES, PROBABLY_NO, NO = "Yes", "Probably yes", "Probably no", "No"
NO_INFORMATION, PERSON = "No information", "Needs a person"
_SEVERITY = (NO, PROBABLY_NO, NO_INFORMATION, PERSON, PROBABLY_YES, YES)


@dataclass(frozen=True)
class Judgment:
    """A signalling question with its answer and what it rests on; topic: where that is shown."""

    domain: str
    question: str
    answer: str
    evidence: str
    topic: str = ""


def worst(judgments: Sequence[Judgment]) -> Judgment | None:
    """Return the most worrying answer of all cells, with the evidence of all of equal worry."""
    if not judgments:
        return None
    worst = min(judgments, key=lambda item: _SEVERITY.index(item.answer))
    equal = dict.fromkeys(item.evidence for item in judgments if item.answer == worst.answer)
    return replace(worst, evidence=" ".join(equal))
