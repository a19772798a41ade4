"""Study file: reads a study YAML and turns everything wrong in it into messages with line numbers.

What belongs here: locating, parsing and explaining. What a study may say is in the other modules of
this package.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from learn_assets.study import BaseStudy, LakeOptions, Study
from learn_assets.study.subtypes import SubtypeStudy

AnyStudy = Study | SubtypeStudy

PACKAGED_STUDIES = Path(__file__).parents[1] / "studies"

# What the key `question` of a study file chooses; without it a study asks about progression.
_QUESTIONS: dict[str, type[Study] | type[SubtypeStudy]] = {
    "progression": Study,
    "subtypes": SubtypeStudy,
}

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_QUOTED = re.compile(r"`([^`]+)`")

Location = tuple[str | int, ...]
Schema = dict[str, Any]
SectionType = TypeVar("SectionType", bound=BaseModel)


@dataclass(frozen=True)
class StudyProblem:
    """One thing that is wrong in a study file: its 1-based line, its key and what to write."""

    line: int
    key: str
    message: str


class StudyFileError(ValueError):
    """A study file that cannot be used, with every problem found in it."""

    def __init__(self, file: Path, problems: list[StudyProblem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.key)))
        super().__init__("\n".join(self._lines()))

    def _lines(self) -> Iterator[str]:
        for problem in self.problems:
            key = f"{problem.key}: " if problem.key else ""
            yield f"{self.file}:{problem.line}: {key}{problem.message}"


@dataclass
class _Document:
    """A parsed file as plain values, and the line where each of them starts."""

    data: object
    model: type[BaseStudy] = Study
    lines: dict[Location, int] = field(default_factory=dict)
    problems: list[StudyProblem] = field(default_factory=list)

    def line(self, location: Location) -> int:
        """Return the line of a location, or of the closest parent that is in the file."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def packaged_studies() -> tuple[str, ...]:
    """Return the names of the studies that come with the package."""
    return tuple(sorted(path.stem for path in PACKAGED_STUDIES.glob("*.yaml")))


def load_study(source: str | Path) -> AnyStudy:
    """Read and validate a study from a YAML file or from the name of a packaged study.

    Relative paths in the file are taken from its own folder, except `lake.home`, which is taken
    from the working directory; `~` and `${VARIABLE}` are expanded. StudyFileError carries one
    problem for each thing that is wrong, with its line and the values allowed there.
    """
    file = _locate(source)
    document = _parse(file)
    study = _validate(file, document)
    return _anchor_paths(study, file.resolve().parent)


def _locate(source: str | Path) -> Path:
    file = Path(source).expanduser()
    if isinstance(source, str) and source in packaged_studies():
        return PACKAGED_STUDIES / f"{source}.yaml"
    if file.is_file():
        return file
    packaged = ", ".join(packaged_studies())
    problem = f"no such study file; give the path of a YAML file or a packaged study: {packaged}"
    raise StudyFileError(file, [StudyProblem(1, "", problem)])


def _parse(file: Path) -> _Document:
    try:
        loaded = YAML(typ="rt", pure=True).load(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        problem = StudyProblem(1, "", "is not UTF-8 text; save it as UTF-8")
        raise StudyFileError(file, [problem]) from None
    except YAMLError as error:
        raise StudyFileError(file, [_syntax_problem(error)]) from None
    document = _Document(data=None)
    document.data = _plain(loaded, (), document)
    return document


def _syntax_problem(error: YAMLError) -> StudyProblem:
    if not isinstance(error, MarkedYAMLError):
        return StudyProblem(1, "", "holds characters that YAML does not allow")
    mark = error.problem_mark or error.context_mark
    line = 1 if mark is None else mark.line + 1
    what = " ".join(str(part).strip() for part in (error.context, error.problem) if part)
    if isinstance(error, DuplicateKeyError):
        return StudyProblem(line, "", f"{error.problem}; keep one of the two")
    return StudyProblem(line, "", f"is not valid YAML: {what}")


def _plain(node: object, location: Location, document: _Document) -> object:
    if isinstance(node, CommentedMap):
        positions = node.lc.data or {}
        for key in node:
            if key in positions:
                document.lines[(*location, key)] = positions[key][0] + 1
        return {key: _plain(value, (*location, key), document) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        positions = node.lc.data or {}
        for index in range(len(node)):
            if index in positions:
                document.lines[(*location, index)] = positions[index][0] + 1
        return [_plain(item, (*location, index), document) for index, item in enumerate(node)]
    if isinstance(node, str):
        return _expand_variables(str(node), location, document)
    return node


def _expand_variables(text: str, location: Location, document: _Document) -> str:
    for name in sorted(set(_VARIABLE.findall(text)) - set(os.environ)):
        message = f"the environment variable {name} is not set; export it or write the value here"
        document.problems.append(StudyProblem(document.line(location), _dotted(location), message))
    return _VARIABLE.sub(lambda match: os.environ.get(match[1], match[0]), text)


def _validate(file: Path, document: _Document) -> AnyStudy:
    model = _chosen_model(file, document)
    document.model = model
    problems = list(document.problems)
    try:
        study = model.model_validate(document.data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems += [_explain(detail, document) for detail in details if not _is_echo(detail)]
        raise StudyFileError(file, problems) from None
    if problems:
        raise StudyFileError(file, problems)
    return study


def _chosen_model(file: Path, document: _Document) -> type[Study] | type[SubtypeStudy]:
    asked = document.data.get("question") if isinstance(document.data, dict) else None
    if asked is None:
        return Study
    if isinstance(asked, str) and asked in _QUESTIONS:
        return _QUESTIONS[asked]
    guess = _guess(str(asked), list(_QUESTIONS))
    message = f"{_shown(asked)} is not allowed{guess} (allowed: {', '.join(_QUESTIONS)})"
    problem = StudyProblem(document.line(("question",)), "question", message)
    raise StudyFileError(file, [*document.problems, problem])


def _is_echo(detail: ErrorDetails) -> bool:
    # Items that failed are counted as absent, which says nothing that their own errors do not.
    return detail["type"] == "too_short" and bool(detail["input"])


def _explain(detail: ErrorDetails, document: _Document) -> StudyProblem:
    location = _file_location(detail["loc"], document.data)
    explain = _EXPLANATIONS.get(detail["type"], _explain_value)
    message = explain(_Mistake(detail, location, document))
    if detail["type"].startswith("union_tag"):
        location = (*location, "format")
    elif detail["type"] == "value_error":
        location = _mentioned_location(message, location, document)
    return StudyProblem(document.line(location), _dotted(location), message)


def _file_location(location: Location, data: object) -> Location:
    # Pydantic puts the tag of a discriminated union into the location; the file has no such level.
    path: list[str | int] = []
    node = data
    for part in location:
        if isinstance(node, dict) and part not in node and node.get("format") == part:
            continue
        path.append(part)
        node = _child(node, part)
    return tuple(path)


def _child(node: object, part: str | int) -> object:
    if isinstance(node, dict):
        return node.get(part)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return None


def _mentioned_location(message: str, location: Location, document: _Document) -> Location:
    # A rule over several keys names them in backticks: point to the first one with a place.
    for mentioned in _QUOTED.findall(message):
        first, *rest = mentioned.split(".")
        if (*location, first) in document.lines:
            # Names of expectations have a dot of their own.
            whole = (*location, first, ".".join(rest))
            return whole if whole in document.lines else (*location, first, *rest)
    return location


@dataclass(frozen=True)
class _Mistake:
    """One error of pydantic's, where it stands in the file, and the schema that rules there."""

    detail: ErrorDetails
    location: Location
    document: _Document

    @property
    def shown(self) -> str:
        return _shown(self.detail["input"])

    @property
    def schema(self) -> Schema:
        return _schema_at(self.location, self.document)

    @property
    def tags(self) -> list[str]:
        return sorted(self.schema.get("discriminator", {}).get("mapping", {}))


def _explain_missing(mistake: _Mistake) -> str:
    hint = mistake.schema.get("description")
    return f"this key is required and missing{f' ({hint})' if hint else ''}"


def _explain_unknown(mistake: _Mistake) -> str:
    parent = _schema_at(mistake.location[:-1], mistake.document)
    known = sorted(parent.get("properties", {}))
    guess = _guess(str(mistake.location[-1]), known)
    return f"unknown key{guess} (allowed: {', '.join(known)})"


def _explain_choice(mistake: _Mistake) -> str:
    allowed = mistake.detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
    guess = _guess(str(mistake.detail["input"]), allowed.split(", "))
    return f"{mistake.shown} is not allowed{guess} (allowed: {allowed})"


def _explain_tag(mistake: _Mistake) -> str:
    allowed = f"(allowed: {', '.join(mistake.tags)})"
    if mistake.detail["type"] == "union_tag_not_found":
        return f"this key is required and missing {allowed}"
    tag = mistake.detail["ctx"]["tag"]
    return f"{_shown(tag)} is not allowed{_guess(tag, mistake.tags)} {allowed}"


def _explain_section(mistake: _Mistake) -> str:
    known = sorted(mistake.schema.get("properties", {})) or ["format"]
    return f"must be a mapping of keys, not {mistake.shown} (keys: {', '.join(known)})"


def _explain_length(mistake: _Mistake) -> str:
    return f"needs at least {mistake.detail['ctx']['min_length']} item"


def _explain_value(mistake: _Mistake) -> str:
    message = mistake.detail["msg"].removeprefix("Value error, ")
    if mistake.detail["type"] == "value_error":
        return message
    for kind in ("Input", "String"):
        message = message.replace(f"{kind} should", "must")
    return f"{message}, not {mistake.shown}"


_EXPLANATIONS = {
    "missing": _explain_missing,
    "extra_forbidden": _explain_unknown,
    "literal_error": _explain_choice,
    "too_short": _explain_length,
    "union_tag_invalid": _explain_tag,
    "union_tag_not_found": _explain_tag,
    "model_type": _explain_section,
    "model_attributes_type": _explain_section,
}


def _guess(written: str, known: list[str]) -> str:
    close = get_close_matches(written, known, n=1, cutoff=0.5)
    return f"; did you mean `{close[0]}`?" if close else ""


def _schema_at(location: Location, document: _Document) -> Schema:
    # The JSON schema says, in one form, what the nested models allow at any place of the file.
    root = document.model.model_json_schema()
    schema = root
    node = document.data
    for part in location:
        schema = _resolved(schema, root, node)
        named = schema.get("properties", {}).get(part)
        schema = named or schema.get("items") or schema.get("additionalProperties") or {}
        node = _child(node, part)
    return _resolved(schema, root, node)


def _resolved(schema: Schema, root: Schema, node: object) -> Schema:
    if "$ref" in schema:
        return _resolved(root["$defs"][schema["$ref"].rsplit("/", 1)[-1]], root, node)
    tag = node.get("format") if isinstance(node, dict) else None
    mapping = schema.get("discriminator", {}).get("mapping", {})
    if tag in mapping:
        return _resolved({"$ref": mapping[tag]}, root, node)
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    return _resolved(options[0], root, node) if len(options) == 1 else schema


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _anchor_paths(section: SectionType, folder: Path) -> SectionType:
    anchor = Path.cwd() if isinstance(section, LakeOptions) else folder
    changes = {
        name: _anchored(value, anchor)
        for name in type(section).model_fields
        if isinstance(value := getattr(section, name), Path | BaseModel | tuple)
    }
    return section.model_copy(update=changes)


def _anchored(value: object, folder: Path) -> object:
    if isinstance(value, Path):
        return folder / value.expanduser()
    if isinstance(value, BaseModel):
        return _anchor_paths(value, folder)
    if isinstance(value, tuple):
        return tuple(_anchored(item, folder) for item in value)
    return value
