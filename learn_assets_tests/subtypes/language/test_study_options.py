"""The section in a study: what clusters need of it, and when the sexes share a space."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from learn_assets.study.subtypes import SubtypeStudy
from learn_assets.subtypes.map_files import _Part, in_one_space
from learn_assets.subtypes.spaces import EmbeddedAdmissions


def study(**sections: object) -> SubtypeStudy:
    return SubtypeStudy.model_validate(
        {
            "question": "subtypes",
            "name": "trial",
            "title": "Trial",
            "synthetic": True,
            "source": {"format": "synthetic"},
            **sections,
        }
    )


def test_clusters_of_the_language_model_need_one() -> None:
    assert study(language_model=None).language_model is None
    with pytest.raises(ValidationError, match="needs the section `language_model`"):
        study(language_model=None, clusters={"representation": "language_model"})


def test_two_models_are_two_spaces() -> None:
    alone = {"sharing": "each_sex"}
    of_model = {"representation": "language_model"}
    assert study(clusters=of_model).sexes_share_a_space
    assert study(language_model=alone).sexes_share_a_space
    assert not study(language_model=alone, clusters=of_model).sexes_share_a_space


def test_sexes_with_a_model_each_are_not_drawn_together() -> None:
    # Both spaces are as wide, which says nothing.
    embedded = EmbeddedAdmissions(np.zeros((5, 3), np.float32), np.eye(3, dtype=np.float32))
    parts = {sex: _Part(sex, embedded, np.zeros(5, int), np.arange(5)) for sex in ("F", "M")}
    of_model = {"representation": "language_model"}
    assert in_one_space(study(clusters=of_model), parts)
    assert not in_one_space(study(language_model={"sharing": "each_sex"}, clusters=of_model), parts)
