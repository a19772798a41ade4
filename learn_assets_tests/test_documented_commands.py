"""Every command that the documentation shows exists, with the options it is shown with."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from learn_assets.commands.app import PROGRAM, app
from learn_assets.study.file import packaged_studies

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
PROGRAMS = ("learn-assets", "make", "python", "dg")

_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
_ASSIGNMENT = re.compile(r"[A-Z][A-Z_0-9]*=\S*")
_INCOMPLETE = "Missing "


class UnknownCommandError(Exception):
    """A command is shown that would not run."""


@dataclass(frozen=True)
class Shown:
    """A command as a document shows it; whole: it can be copied and run."""

    document: str
    words: tuple[str, ...]
    whole: bool


def shown_commands(document: str, text: str) -> Iterator[Shown]:
    """Yield each command of ours in the code blocks of a page and in its running text."""
    for block in _FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from _of_line(document, line, whole=True)
    for span in _SPAN.findall(_FENCE.sub("", text)):
        yield from _of_line(document, span.replace("\n", " "), whole=False)


def _of_line(document: str, line: str, *, whole: bool) -> Iterator[Shown]:
    # What is no shell, such as YAML with an apostrophe in it, may not split.
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words = words[1:]
    if len(words) < 2 or Path(words[0]).name not in PROGRAMS:
        return
    words[0] = Path(words[0]).name
    if "|" in words:
        # `store size | verify` shows two commands.
        first = words.index("|") - 1
        choices = [word for word in words[first:] if word != "|"]
        yield from (Shown(document, (*words[:first], choice), whole) for choice in choices)
        return
    yield Shown(document, tuple(words), whole)


def check(shown: Shown) -> None:
    """Raise UnknownCommandError when a command would not run as it is shown."""
    program, *rest = shown.words
    if program == "python" and rest[:2] == ["-m", "learn_assets"]:
        program, rest = "learn-assets", rest[2:]
    if program == "learn-assets":
        _check_ours(rest, whole=shown.whole)
    elif program == "make":
        _expect(rest[0], targets(), "target of the Makefile")
    elif program == "dg":
        _check_dg(rest)
    elif rest[0].startswith("benchmarks/"):
        known = benchmark_flags(rest[0])
        for flag in (word for word in rest[1:] if word.startswith("--")):
            _expect(flag, known, f"option of {rest[0]}")
    else:
        raise UnknownCommandError(f"nothing checks `{' '.join(shown.words)}`")


def _expect(word: str, known: frozenset[str], what: str) -> None:
    if word not in known:
        raise UnknownCommandError(f"{word} is no {what}; there are {', '.join(sorted(known))}")


def _check_ours(words: list[str], *, whole: bool) -> None:
    arguments = ["0" * 64 if word == "<digest>" else word for word in words]
    options = [word for word in arguments if not (word.startswith("[") and word.endswith("]"))]
    try:
        parsed = parser().main(options, prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message()
        if whole or not message.startswith(_INCOMPLETE):
            raise UnknownCommandError(message) from error
        return
    # The help and the version are shown without a study.
    study = parsed.get("study") if isinstance(parsed, dict) else None
    if study is not None and not study.endswith(".yaml"):
        _expect(study, frozenset(packaged_studies()), "packaged study")


@cache
def parser() -> Any:
    """Return the program with commands that only return their options."""
    program = typer.main.get_command(app)
    for command in program.commands.values():
        command.callback = dict
    return program


def _check_dg(words: list[str]) -> None:
    from dagster_dg_cli.cli.launch import launch_command
    from dagster_dg_cli.cli.scaffold import scaffold_group

    from learn_assets.defs.jobs import jobs
    from learn_assets.schemas import registry
    from learn_assets.study.file import load_study

    if words[0] == "scaffold":
        _expect(words[1], frozenset(scaffold_group.commands), "command of dg scaffold")
        return
    if words[0] != "launch":
        raise UnknownCommandError(f"nothing checks `dg {words[0]}`")
    known = frozenset(option for parameter in launch_command.params for option in parameter.opts)
    for word in words:
        if word.startswith("--"):
            _expect(word, known, "option of dg launch")
    of_subtypes = (
        registry.SUBTYPES_DATA,
        registry.LANGUAGE_MODELS,
        registry.SUBTYPE_CLUSTERS,
        registry.SUBTYPE_RESULTS,
    )
    known = frozenset((*(job.name for job in jobs(load_study("demo"))), *of_subtypes))
    _expect(words[words.index("--job") + 1], known, "job")


@cache
def targets() -> frozenset[str]:
    """Return the targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))


@cache
def benchmark_flags(script: str) -> frozenset[str]:
    """Return the options that a benchmark takes, read from its source."""
    path = ROOT / script
    if not path.is_file():
        raise UnknownCommandError(f"there is no {script}")
    calls = (
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".add_argument")
    )
    return frozenset(str(ast.literal_eval(call.args[0])) for call in calls)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_a_page_exists(document: Path) -> None:
    for shown in shown_commands(document.name, document.read_text(encoding="utf-8")):
        check(shown)


def test_the_pages_show_commands_of_every_kind() -> None:
    found = [
        shown
        for document in DOCUMENTS
        for shown in shown_commands(document.name, document.read_text(encoding="utf-8"))
    ]
    assert {shown.words[0] for shown in found} == set(PROGRAMS)
    named = {shown.words[1] for shown in found if shown.words[0] == "learn-assets"}
    assert {"store", "doctor", "export-model", "external-validation", "promote"} <= named
    assert {shown.words[2] for shown in found if shown.words[1] == "store"} == {
        *("size", "verify", "compact", "collect"),
    }


@pytest.mark.parametrize(
    "page",
    [
        "`make everything`",
        "`learn-assets materialise`",
        "`learn-assets store tidy`",
        "`learn-assets store size | tidy`",
        "`learn-assets show --sudy demo`",
        "`learn-assets show --study dmeo`",
        "`learn-assets show --study`",
        "`learn-assets materialize --json`",
        "`learn-assets --versions`",
        "`learn-assets external-validation --model b --accept everything`",
        "`learn-assets external-validation --model b --sha256 0`",
        "```sh\nlearn-assets export-model --window a --encoder b\n```",
        "```sh\nX=1 .venv/bin/python -m learn_assets \\\n  materialize --forced   # all\n```",
        "`python benchmarks/embedding.py --patience 3`",
        "`python benchmarks/speed.py`",
        "`dg launch --job retraining`",
        "`dg scaffold asset`",
        "`dg launch --job results --partitions F`",
        "`python -m pytest.main`",
    ],
)
def test_a_command_that_would_not_run_is_found(page: str) -> None:
    *_, last = shown_commands("page", page)
    with pytest.raises(UnknownCommandError):
        check(last)


def test_a_command_in_running_text_may_leave_out_what_it_needs() -> None:
    for command in shown_commands("page", "Say why: `learn-assets promote --reason ...`."):
        check(command)
