"""Published texts: admissions as the published study wrote them, to show what its clusters found.

It looked dotted codes up in a file of undotted ones, so nearly every diagnosis became the same
placeholder word and a text was little more than how often that word stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from learn_assets.embedding.store import VectorStore
from learn_assets.study import EncoderChoice
from learn_assets.subtypes.clustering import FloatMatrix
from learn_assets.subtypes.coded import CodedAdmissions
from learn_assets.subtypes.description_vectors import embed_texts

PLACEHOLDER = "Unknown"


def published_texts(coded: CodedAdmissions, titles: Mapping[str, str]) -> list[str]:
    """Return the text of each admission by the published look-up.

    titles: code without dot -> description. Categories of three characters have no dot and are
    found; everything below them is looked up with its dot and is not.
    """
    looked_up = [titles.get(_dotted(code), PLACEHOLDER) for code in coded.codes]
    return [
        " ".join(looked_up[position] for position in coded.positions[start:stop])
        for start, stop in zip(coded.starts[:-1], coded.starts[1:], strict=True)
    ]


def published_vectors(
    coded: CodedAdmissions, titles: Mapping[str, str], choice: EncoderChoice, store: VectorStore
) -> FloatMatrix:
    """Return one vector an admission (n, d): its whole published text through an encoder.

    A frozen encoder stands in for the language model that was trained on these texts.
    """
    texts = published_texts(coded, titles)
    distinct = sorted(set(texts))
    place = {text: row for row, text in enumerate(distinct)}
    rows = np.array([place[text] for text in texts], dtype=np.int64)
    return np.asarray(embed_texts(distinct, choice, store)[rows], dtype=np.float32)


def _dotted(code: str) -> str:
    return code if len(code) <= 3 else f"{code[:3]}.{code[3:]}"
