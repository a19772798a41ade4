"""Results: what a laboratory text says - a number, how the result compares with it, and a word.

What belongs here: the reading of one text. Each distinct text is read once; `<1:80` is not 80, it
is the number 80 with the comparator `<`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import polars as pl

Comparator = str

_SIGNS: dict[str, Comparator] = {
    **dict.fromkeys(("<", "\uff1c", "less than", "below", "under"), "<"),
    **dict.fromkeys(("<=", "=<", "\u2264", "less than or equal to", "at most"), "<="),
    **dict.fromkeys((">", "\uff1e", "greater than", "more than", "above", "over"), ">"),
    **dict.fromkeys((">=", "=>", "\u2265", "greater than or equal to", "at least"), ">="),
}
BELOW = ("<", "<=")
_SIGN = "|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True))
_FIGURE = r"(?:\d[\d.,]*|[.,]\d+)"
_TITER = r"1\s*[:/]\s*"
_RESULT = re.compile(
    rf"(?P<before>[^\d<>=\u2264\u2265\uff1c\uff1e]*?)\s*=?\s*(?:(?P<sign>{_SIGN})\s*)?"
    rf"(?P<titer>{_TITER})?(?P<figure>[-+]?{_FIGURE})"
    rf"(?:\s*(?:-|\u2013|to)\s*(?:{_TITER})?(?P<upper>{_FIGURE}))?"
    r"(?P<after>[\s(),;%]*(?:[^\W\d_][^<>=]*)?[\s().,;]*)"
)
# A reference range is no result.
_REFERENCE = re.compile(r"[(\[][^)\]]*\b(?:ref\w*|normal|range|cut-?off)\b[^)\]]*[)\]]")
_EITHER = re.compile(r"[-+]?\d{1,3},\d{3}")
_POINT = re.compile(r"[-+]?(?:\d*|\d{1,3}(?:,\d{3})+)(?:\.\d+)?")
_COMMA = re.compile(r"[-+]?(?:\d*|\d{1,3}(?:\.\d{3})+),\d+")
# What is left of a text once number and comparator are taken out of it.
_EDGES = " \t()[].,;:="


class Result(NamedTuple):
    """A result: `number` with `comparator` (none: equal), and the `word` that goes with them.

    plain: the text is a number and nothing else. leads: the comparator stands first, so that it
    says of the whole result, not of a range in parentheses.
    """

    number: float | None = None
    comparator: Comparator | None = None
    word: str | None = None
    plain: bool = False
    leads: bool = False


_SCHEMA = pl.Struct(
    {
        "number": pl.Float64(),
        "comparator": pl.String(),
        "word": pl.String(),
        "plain": pl.Boolean(),
        "leads": pl.Boolean(),
    }
)


def read_result(text: str) -> Result:
    """Return what a text says; a text that is no result with a number is a word.

    A range is its lower end or more. The number of a titer is its reciprocal.
    """
    written = " ".join(_REFERENCE.sub(" ", text.lower()).split())
    found = _RESULT.fullmatch(written)
    number = _figure(found["figure"], titer=bool(found["titer"])) if found else None
    if found is None or number is None or not _is_about_the_number(found):
        return Result(word=written.strip(_EDGES) or None)
    comparator = _SIGNS[found["sign"]] if found["sign"] else None
    if found["upper"]:
        comparator = ">="
    word = " ".join(f"{found['before']} {found['after']}".split()).strip(_EDGES) or None
    bare = comparator is None and not found["titer"] and word is None
    return Result(number, comparator, word, plain=bare, leads=not found["before"].strip())


def read_results(texts: pl.Series) -> pl.Series:
    """Return the results of texts as structs, null for null; each distinct text is read once."""
    # Numbers are the many distinct ones, and no secret to the parser.
    number = texts.cast(pl.Float64, strict=False)
    plain = number.is_finite().fill_null(value=False)
    distinct = texts.filter(~plain).unique().drop_nulls().to_list()
    read = texts.replace_strict(
        {text: read_result(text)._asdict() for text in distinct},
        default=None,
        return_dtype=_SCHEMA,
    )
    return (
        pl.DataFrame({"read": read, "number": number, "plain": plain})
        .select(
            pl.when("plain")
            .then(
                pl.struct(
                    "number",
                    pl.lit(None, pl.String).alias("comparator"),
                    pl.lit(None, pl.String).alias("word"),
                    "plain",
                    pl.col("plain").alias("leads"),
                )
            )
            .otherwise("read")
            .alias(texts.name)
        )
        .to_series()
    )


def _is_about_the_number(found: re.Match[str]) -> bool:
    """Say whether the words around a number speak of it: `pattern 2` has no result of 2."""
    before = found["before"].strip()
    return not before or before.endswith(("(", ":")) or bool(found["sign"] or found["titer"])


def _figure(text: str, *, titer: bool) -> float | None:
    """Return a number with decimal point or comma; None for `1,234`, which may be either."""
    digits = text.rstrip(".,")
    if _EITHER.fullmatch(digits) and not titer:
        return None
    if _POINT.fullmatch(digits):
        return float(digits.replace(",", ""))
    if _COMMA.fullmatch(digits):
        return float(digits.replace(".", "").replace(",", "."))
    return None
