"""The verdict on planted clusters and on none, the null behind it, the published rule beside."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import adjusted_rand_score

from learn_assets.study.clusters import ClusterOptions
from learn_assets.subtypes.clustering import KMeansClusterer
from learn_assets.subtypes.null_reference import compare_with_null
from learn_assets.subtypes.published_rule import published_rule
from learn_assets.subtypes.representations import DescriptionRepresentation, TfidfRepresentation
from learn_assets.subtypes.selection import clusters_to_fit, fit_clusters, select_count
from learn_assets_tests.subtypes.made import NOISE, PROFILES, make_admissions

QUICK = ClusterOptions(largest_count=8, resamples=20, null_files=49)


def description_like(codes: tuple[str, ...], seed: int = 0) -> DescriptionRepresentation:
    """Vectors as descriptions have them: alike within a planted profile."""
    generator = np.random.default_rng(seed)
    topics = generator.normal(size=(len(PROFILES) + 1, 32))
    topic_of = {code: i for i, parts in enumerate(PROFILES) for code in " ".join(parts).split()}
    topic_of |= dict.fromkeys(NOISE, len(PROFILES))
    vectors = np.array([topics[topic_of[c]] + 0.9 * generator.normal(size=32) for c in codes])
    return DescriptionRepresentation(vectors.astype(np.float32), dimensions=20)


@pytest.mark.slow
def test_planted_clusters_are_recovered_and_their_number_named() -> None:
    made = make_admissions(500, clusters=4, seed=11)
    representation = description_like(made.coded.codes)
    selection = select_count(made.coded, representation, QUICK)
    vectors = representation.fit(made.coded).transform(made.coded)
    labels = fit_clusters(vectors, clusters_to_fit(selection, QUICK), QUICK).labels
    assert selection.count == 4
    assert not selection.ceiling_hit
    assert adjusted_rand_score(made.planted, labels) > 0.9
    assert selection.sentence.startswith("Structure: 4 clusters.")


@pytest.mark.slow
def test_no_structure_is_called_so_where_the_published_rule_finds_clusters() -> None:
    options = QUICK.model_copy(update={"largest_count": 4})
    called, published = [], []
    for seed in range(20):
        made = make_admissions(250, clusters=0, seed=seed)
        selection = select_count(made.coded, description_like(made.coded.codes, seed), options)
        called.append(selection.structure)
        assert selection.published is not None
        published.append(selection.published.count)
    assert sum(called) <= 1
    assert min(published) >= 2


def test_a_count_at_the_end_of_the_range_is_told() -> None:
    made = make_admissions(300, clusters=3, seed=2)
    options = QUICK.model_copy(update={"largest_count": 3})
    selection = select_count(made.coded, TfidfRepresentation(20), options)
    assert selection.count == 3
    assert selection.ceiling_hit
    assert "largest count tried" in selection.sentence


def test_without_structure_everyone_is_together_unless_the_published_count_is_asked() -> None:
    made = make_admissions(200, clusters=0, seed=5)
    options = QUICK.model_copy(update={"largest_count": 3})
    selection = select_count(made.coded, TfidfRepresentation(20), options)
    assert selection.sentence.startswith("No structure")
    assert clusters_to_fit(selection, options) == 1
    asked = options.model_copy(update={"selection": "published"})
    assert selection.published is not None
    assert clusters_to_fit(selection, asked) == selection.published.count


def test_the_choice_does_not_depend_on_the_number_of_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = make_admissions(200, clusters=3, seed=2)
    options = QUICK.model_copy(update={"largest_count": 4})
    both = []
    for cores in (1, 3):
        monkeypatch.setattr("learn_assets.modeling.threads.available_cores", lambda n=cores: n)
        both.append(select_count(made.coded, TfidfRepresentation(15), options))
    assert both[0] == both[1]


def test_null_p_values_are_uniform_without_structure() -> None:
    # A test that rejects too often would find structure in noise: with 19 null files a p value is
    # a rank among 20, so its mean over seeds is near one half.
    p_values = []
    for seed in range(12):
        made = make_admissions(120, clusters=0, seed=seed)
        null = compare_with_null(
            made.coded, TfidfRepresentation(10), KMeansClusterer(), (2, 3), null_files=19, seed=seed
        )
        p_values.append(null.p_value)
    assert 0.25 < float(np.mean(p_values)) < 0.8


def test_the_published_rule_names_a_number_for_pure_noise() -> None:
    vectors = np.random.default_rng(0).normal(size=(600, 30)).astype(np.float32)
    verdicts = [published_rule(vectors, seed) for seed in range(5)]
    assert {verdict.subsample for verdict in verdicts} == {24}
    assert max(verdict.count for verdict in verdicts) >= 7
    with pytest.raises(ValueError, match="24 admissions"):
        published_rule(vectors[:20], 0)


def test_options_that_cannot_reach_their_significance_are_refused() -> None:
    with pytest.raises(ValidationError, match="null_files"):
        ClusterOptions(null_files=19, significance=0.02)
    with pytest.raises(ValidationError, match="smallest_count"):
        ClusterOptions(smallest_count=9, largest_count=8)
