from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from learn_assets.study import (
    WITHOUT_MEDICATION,
    CodeEntry,
    EncoderChoice,
    FeatureSet,
    IndexEventRule,
    Study,
)
from learn_assets.study.file import StudyFileError, load_study, packaged_studies

GOOD = """\
name: trial
title: A trial
source:
  format: trinetx
  folder: extract
  cohort_table: extract/cohort.txt
cohort:
  mode: supplied
windows:
  - {LIS: 730, BP: 180, FUP: 1825}
"""


def _write(folder: Path, text: str) -> Path:
    file = folder / "trial.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def _problems(folder: Path, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(StudyFileError) as raised:
        load_study(_write(folder, text))
    return [(problem.line, problem.key, problem.message) for problem in raised.value.problems]


def test_every_packaged_study_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRINETX_FOLDER", "/data/trinetx")
    monkeypatch.setenv("RXNORM_FOLDER", "/data/rxnorm/rrf")
    monkeypatch.setenv("DISCHARGES_FILE", "/data/discharges.csv")
    assert {"demo", "gibleed", "sle"} <= set(packaged_studies())
    for name in packaged_studies():
        assert load_study(name).name == name


def test_paths_are_taken_from_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    study = load_study(_write(tmp_path, GOOD + "encoders: [{id: mine, path: models/mine}]\n"))
    assert study.source.folder == tmp_path / "extract"
    assert study.source.cohort_table == tmp_path / "extract" / "cohort.txt"
    assert study.encoder("mine").path == tmp_path / "models" / "mine"
    assert study.lake.home == Path("/.learn")


def test_home_and_variables_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTRACT", "/data/site")
    monkeypatch.setenv("HOME", "/home/someone")
    text = GOOD.replace("folder: extract", "folder: ${EXTRACT}/raw") + "lake: {home: ~/lake}\n"
    study = load_study(_write(tmp_path, text))
    assert study.source.folder == Path("/data/site/raw")
    assert study.lake.home == Path("/home/someone/lake")


def test_a_study_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    for missing in ("no_such_study", tmp_path / "none.yaml"):
        with pytest.raises(StudyFileError, match=r"demo.*gibleed.*sle"):
            load_study(missing)


def test_an_unset_variable_is_an_error_on_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    problems = _problems(tmp_path, GOOD.replace("folder: extract", "folder: ${NOT_SET}/raw"))
    assert [(line, key) for line, key, _ in problems] == [(5, "source.folder")]
    assert "NOT_SET" in problems[0][2]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: a\nwindows: [1\n", 3),
        ("name: a\n\tb: 1\n", 2),
        ("name: a\nname: b\n", 2),
        ("--- \na: 1\n--- \nb: 1\n", 3),
        ("a: \x00\n", 1),
    ],
    ids=["unclosed", "tab", "duplicate key", "two documents", "control character"],
)
def test_text_that_is_not_yaml_names_its_line(tmp_path: Path, text: str, line: int) -> None:
    assert [problem[0] for problem in _problems(tmp_path, text)] == [line]


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "trial.yaml"
    file.write_bytes("title: Größe".encode("latin-1"))
    with pytest.raises(StudyFileError, match="UTF-8"):
        load_study(file)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "words\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    ((line, key, message),) = _problems(tmp_path, text)
    assert (line, key) == (1, "")
    assert "windows" in message


MISTAKES = {
    "required key": ("title: A trial\n", "", 1, "title", "required"),
    "unknown key": ("title:", "titel: x\ntitle:", 2, "titel", "did you mean `title`"),
    "nested unknown": ("  mode:", "  polici: x\n  mode:", 8, "cohort.polici", "`policy`"),
    "choice": ("mode: supplied", "mode: suplied", 8, "cohort.mode", "supplied, derived"),
    "source format": ("format: trinetx", "format: fhir", 4, "source.format", "omop, synthetic"),
    "source without format": ("  format: trinetx\n", "", 3, "source.format", "trinetx"),
    "key of a source": ("  folder: extract\n", "", 3, "source.folder", "required"),
    "key of a window": (", FUP: 1825", "", 10, "windows[0].FUP", "required"),
    "rule in a window": ("FUP: 1825", "FUP: 90", 10, "windows[0]", "FUP must be longer"),
    "number as text": ("BP: 180", "BP: soon", 10, "windows[0].BP", "integer"),
    "number out of range": ("LIS: 730", "LIS: -1", 10, "windows[0].LIS", "greater than or equal"),
    "pattern": ("name: trial", "name: Trial 1", 1, "name", "pattern"),
    "not a mapping": ("cohort:\n  mode: supplied", "cohort: supplied", 7, "cohort", "mode"),
    "rule over keys": (
        "  cohort_table: extract/cohort.txt\n",
        "",
        3,
        "source.cohort_table",
        "needs",
    ),
}


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "says"), MISTAKES.values(), ids=MISTAKES.keys()
)
def test_a_mistake_is_explained_once_on_its_line(
    tmp_path: Path, old: str, new: str, line: int, key: str, says: str
) -> None:
    assert old in GOOD
    ((found_line, found_key, message),) = _problems(tmp_path, GOOD.replace(old, new))
    assert (found_line, found_key) == (line, key)
    assert says in message


def test_an_unquoted_code_is_refused_because_yaml_reads_a_number(tmp_path: Path) -> None:
    text = GOOD + "code_lists:\n  lupus:\n    - {code_system: ICD-9-CM, codes: [710.0]}\n"
    ((line, key, message),) = _problems(tmp_path, text)
    assert (line, key) == (13, "code_lists.lupus[0].codes")
    assert "quote" in message


def test_an_empty_list_and_a_bad_item_are_told_apart(tmp_path: Path) -> None:
    ((_, key, message),) = _problems(tmp_path, GOOD + "models: {learners: []}\n")
    assert (key, message) == ("models.learners", "needs at least 1 item")
    ((_, key, _),) = _problems(tmp_path, GOOD + "models: {learners: [svn]}\n")
    assert key == "models.learners[0]"


def test_all_mistakes_are_reported_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("mode: supplied", "mode: x").replace("BP: 180", "BP: y") + "modles: {}\n"
    with pytest.raises(StudyFileError) as raised:
        load_study(_write(tmp_path, text))
    lines = str(raised.value).splitlines()
    assert [int(re.search(r"trial\.yaml:(\d+):", line)[1]) for line in lines] == [8, 10, 11]


def test_the_same_window_or_encoder_twice_is_refused(small_study: Study) -> None:
    data = small_study.model_dump(by_alias=True)
    for part in ("windows", "encoders"):
        with pytest.raises(ValidationError, match=part):
            Study.model_validate(data | {part: [*data[part], data[part][0]]})


def test_results_of_a_synthetic_source_must_be_labelled(small_study: Study) -> None:
    data = small_study.model_dump(by_alias=True)
    with pytest.raises(ValidationError, match="synthetic: true"):
        Study.model_validate(data | {"synthetic": False})


def test_a_derived_cohort_needs_its_rules(small_study: Study) -> None:
    data = small_study.model_dump(by_alias=True)
    for rule in ("index_event", "outcome"):
        with pytest.raises(ValidationError, match="derived"):
            Study.model_validate(data | {"cohort": data["cohort"] | {rule: None}})


def test_a_supplied_cohort_takes_no_rule_that_would_do_nothing(small_study: Study) -> None:
    data = small_study.model_dump(by_alias=True)
    rules = data["cohort"]
    source = {"format": "trinetx", "folder": "extract", "cohort_table": "extract/cohort.txt"}
    for idle in ("index_event", "outcome"):
        other = {"index_event": None, "outcome": None} | {idle: rules[idle]}
        supplied = data | {"source": source, "cohort": rules | other | {"mode": "supplied"}}
        with pytest.raises(ValidationError, match=f"supplied.*`{idle}`"):
            Study.model_validate(supplied)


@pytest.mark.parametrize(
    ("model", "settings", "says"),
    [
        (
            CodeEntry,
            {"code_system": "ICD-10-CM", "codes": ["M32"], "include_descendants": True},
            "include_descendants",
        ),
        (CodeEntry, {"code_system": "OMOP", "codes": ["192671"], "match": "prefix"}, "match"),
        (
            IndexEventRule,
            {"kinds": ["diagnosis"], "code_list": "a", "value_at_least": 80},
            "value_at_least",
        ),
        (
            IndexEventRule,
            {"kinds": ["diagnosis"], "code_list": "a", "value_text": ["positive"]},
            "value_text",
        ),
    ],
    ids=["descendants", "match", "number", "text"],
)
def test_a_setting_that_would_do_nothing_is_refused(
    model: type[CodeEntry | IndexEventRule], settings: dict[str, object], says: str
) -> None:
    with pytest.raises(ValidationError, match=f"`{says}`"):
        model.model_validate(settings)


def test_medications_cannot_be_left_out_twice(small_study: Study) -> None:
    data = small_study.model_dump(by_alias=True)
    models = {"include_medication": False, "feature_sets": ["count", "learn_without_medication"]}
    with pytest.raises(ValidationError, match="learn_without_medication"):
        Study.model_validate(data | {"models": models})


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"learners": ["svm"]}, "sensitivity.learners"),
        ({"feature_sets": ["count_without_medication"]}, "sensitivity.feature_sets"),
        ({"analyses": ["temporal", "temporal"]}, "stands twice"),
        ({"temporal": {"later_share": 1.0}}, "less than 1"),
    ],
)
def test_sensitivity_analyses_ask_models_of_the_study(
    small_study: Study, asked: dict[str, object], says: str
) -> None:
    data = small_study.model_dump(by_alias=True)
    with pytest.raises(ValidationError, match=says):
        Study.model_validate(data | {"sensitivity": asked})


def test_the_protocol_page_shows_a_study_that_loads(small_study: Study) -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    shown = YAML(typ="safe").load(page.split("```yaml")[1].split("```")[0])
    data = small_study.model_dump(by_alias=True)
    data["models"] |= {"learners": ["elastic_net", "xgboost"]} | shown["models"]
    study = Study.model_validate(data | {"sensitivity": shown["sensitivity"]})
    assert study.models.repeats == 10
    assert study.sensitivity.learning_curve == small_study.sensitivity.learning_curve


def test_the_feature_sets_page_shows_a_study_that_loads_and_names_every_set(
    small_study: Study,
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "feature_sets.md").read_text(encoding="utf-8")
    shown = YAML(typ="safe").load(page.split("```yaml")[1].split("```")[0])
    encoder = YAML(typ="safe").load(page.split("`encoders: ")[1].split("`")[0])
    data = small_study.model_dump(by_alias=True)
    study = Study.model_validate(data | {"models": shown["models"], "encoders": encoder})
    assert study.encoders[0].mode == "concept"
    for name in get_args(FeatureSet):
        assert f"`{name}`" in page or name in WITHOUT_MEDICATION


@pytest.mark.parametrize("part", ["exclusions", "severe_outcomes"])
def test_conditions_are_told_apart_by_name(small_study: Study, part: str) -> None:
    data = small_study.model_dump(by_alias=True)
    condition = {"name": "cancer", "code_list": "cancer"}
    with pytest.raises(ValidationError, match=f"`{part}`.*cancer"):
        Study.model_validate(data | {"cohort": data["cohort"] | {part: [condition, condition]}})


def test_an_exclusion_takes_no_name_of_a_rule_in_the_attrition(small_study: Study) -> None:
    data = small_study.model_dump(by_alias=True)
    taken = {"name": "follow_up", "code_list": "cancer"}
    with pytest.raises(ValidationError, match="follow_up"):
        Study.model_validate(data | {"cohort": data["cohort"] | {"exclusions": [taken]}})


def test_a_study_survives_its_own_document(small_study: Study) -> None:
    assert Study.model_validate_json(small_study.model_dump_json(by_alias=True)) == small_study


def test_windows_and_encoders_are_found_by_key(small_study: Study) -> None:
    window = small_study.windows[0]
    assert small_study.window(window.key) == window
    with pytest.raises(KeyError, match=re.escape(window.key)):
        small_study.window("LIS-1_BP-1_FUP-2")
    with pytest.raises(KeyError, match="minilm"):
        small_study.encoder("other")


def test_a_study_lists_the_code_lists_its_rules_need(small_study: Study) -> None:
    assert small_study.referenced_code_lists == (
        "antinuclear_antibody",
        "systemic_lupus_erythematosus",
    )


def test_an_encoder_reads_a_model_in_one_mode() -> None:
    choice = EncoderChoice(id="minilm-concept", model="minilm", mode="concept", half_life_days=90)
    assert choice.model_name == "minilm"
    assert EncoderChoice(id="minilm").model_name == "minilm"
    with pytest.raises(ValueError, match="not both"):
        EncoderChoice(id="mine", model="minilm", path=Path("folder"))
    with pytest.raises(ValueError, match="mode: concept"):
        EncoderChoice(id="minilm", half_life_days=90)
