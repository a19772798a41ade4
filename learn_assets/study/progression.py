"""Progression: the study of who among the exposed will develop the outcome."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from learn_assets.study.base import BaseStudy
from learn_assets.study.cohort_rules import CodeEntry, CohortRules
from learn_assets.study.dates import DateOptions
from learn_assets.study.evaluation import EvaluationOptions
from learn_assets.study.features import (
    CountOptions,
    EncoderChoice,
    NarrativeOptions,
    VocabularyOptions,
)
from learn_assets.study.models import (
    ChampionRule,
    ExternalModel,
    ModelingOptions,
    SensitivityOptions,
    SurvivalOptions,
)
from learn_assets.study.quality import QualityOptions
from learn_assets.study.sources import Source, SyntheticSource
from learn_assets.study.windows import Window


class Study(BaseStudy):
    """One study of progression: one site's data, its windows, encoders and protocol."""

    question: Literal["progression"] = "progression"
    source: Source
    cohort: CohortRules
    code_lists: dict[str, tuple[CodeEntry, ...]] = Field(
        default={}, description="Named lists of codes; a packaged list of that name is replaced."
    )
    windows: tuple[Window, ...] = Field(min_length=1)
    dates: DateOptions = DateOptions()
    narratives: NarrativeOptions = NarrativeOptions()
    counts: CountOptions = CountOptions()
    vocabulary: VocabularyOptions = VocabularyOptions()
    quality: QualityOptions = QualityOptions()
    encoders: tuple[EncoderChoice, ...] = Field((EncoderChoice(id="minilm"),), min_length=1)
    models: ModelingOptions = ModelingOptions()
    survival: SurvivalOptions = SurvivalOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    sensitivity: SensitivityOptions = SensitivityOptions()
    champion: ChampionRule = ChampionRule()
    external_models: tuple[ExternalModel, ...] = ()

    @model_validator(mode="after")
    def _partition_keys_are_distinct(self) -> Self:
        if len({window.key for window in self.windows}) < len(self.windows):
            raise ValueError("`windows`: the same window stands twice")
        if len({encoder.id for encoder in self.encoders}) < len(self.encoders):
            raise ValueError("`encoders`: the same id stands twice")
        if len({model.name for model in self.external_models}) < len(self.external_models):
            raise ValueError("`external_models`: the same name stands twice")
        return self

    @model_validator(mode="after")
    def _champion_is_modeled(self) -> Self:
        rule, models = self.champion, self.models
        if rule.feature_set is not None and rule.feature_set not in models.feature_sets:
            raise ValueError("`champion.feature_set` is not one of `models.feature_sets`")
        if rule.learner is not None and rule.learner not in models.learners:
            raise ValueError("`champion.learner` is not one of `models.learners`")
        return self

    @model_validator(mode="after")
    def _sensitivity_is_about_models_of_the_study(self) -> Self:
        for key in ("feature_sets", "learners"):
            asked, known = getattr(self.sensitivity, key) or (), getattr(self.models, key)
            if not set(asked) <= set(known):
                raise ValueError(f"`sensitivity.{key}` are not all in `models.{key}`")
        return self

    @model_validator(mode="after")
    def _shifted_dates_tell_no_period(self) -> Self:
        if self.dates.shifted is not None and "temporal" in self.sensitivity.analyses:
            others = [name for name in self.sensitivity.analyses if name != "temporal"]
            raise ValueError(
                "`sensitivity.analyses`: `temporal` does not apply, since `dates.shifted` says "
                f"that dates are of no calendar year; write [{', '.join(others)}]"
            )
        return self

    @model_validator(mode="after")
    def _synthetic_is_labelled(self) -> Self:
        if isinstance(self.source, SyntheticSource) and not self.synthetic:
            raise ValueError("a synthetic source needs `synthetic: true`, so results are labelled")
        return self

    @model_validator(mode="after")
    def _supplied_needs_its_table(self) -> Self:
        supplied = self.cohort.mode == "supplied"
        if supplied and getattr(self.source, "cohort_table", None) is None:
            raise ValueError("cohort mode `supplied` needs `source.cohort_table`")
        return self

    @property
    def referenced_code_lists(self) -> tuple[str, ...]:
        """Names of the code lists the rules use, sorted and distinct."""
        rules = self.cohort
        names = {item.code_list for item in rules.exclusions if item.code_list}
        names |= {item.code_list for item in rules.severe_outcomes}
        conditional = [item.in_patients_with for item in rules.severe_outcomes]
        names |= {name for item in conditional if item for name in (item.condition, item.code_list)}
        if rules.index_event:
            names.add(rules.index_event.code_list)
        if rules.outcome:
            names.add(rules.outcome.code_list)
        return tuple(sorted(names))

    def window(self, key: str) -> Window:
        """Return the study's window of that key; KeyError names the known ones."""
        for window in self.windows:
            if window.key == key:
                return window
        raise KeyError(f"no window {key}; the study has {[w.key for w in self.windows]}")

    def encoder(self, encoder_id: str) -> EncoderChoice:
        """Return the study's encoder of that id; KeyError names the known ones."""
        for encoder in self.encoders:
            if encoder.id == encoder_id:
                return encoder
        raise KeyError(f"no encoder {encoder_id}; the study has {[e.id for e in self.encoders]}")
