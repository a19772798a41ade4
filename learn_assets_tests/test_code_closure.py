"""Code enters a fingerprint by what it does: its import closure, without comments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from learn_assets import code_closure, provenance
from learn_assets.code_closure import PACKAGE, code_digest, files_behind
from learn_assets.discovery import load, parts
from learn_assets.reporting.sections.provenance import REPORT_CODE
from learn_assets.subtypes import freshness

STAGES = {
    *(*provenance.DATA_CODE, *provenance.CELL_CODE, *provenance.SENSITIVITY_CODE),
    *(*provenance.TRANSFER_CODE, *REPORT_CODE, *freshness.DATA_CODE, *freshness.LANGUAGE_CODE),
    *(*freshness.CLUSTER_CODE, *freshness.RESULT_CODE),
}
SOURCES = {
    "__init__.py": "",
    "defs/__init__.py": "",
    "defs/assets.py": "from package.top import run\nfrom package.defs import other\n",
    "defs/other.py": "import package.unrelated\n",
    "top.py": "def run():\n    from package.inner.deep import compute\n    return compute()\n",
    "inner/__init__.py": "",
    "inner/deep.py": "def compute():\n    return 1\n",
    "inner/templates/page.css": "p {}",
    "unrelated.py": "x = 1\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small package in place of ours."""
    folder = tmp_path / "package"
    for name, text in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(code_closure, "PACKAGE", folder)
    forget()
    yield folder
    forget()


def forget() -> None:
    for cached in (code_digest, code_closure.imported_files, code_closure._content):
        cached.cache_clear()


def digest() -> str:
    forget()
    return code_digest("defs.assets")


def test_the_closure_follows_imports_within_functions_and_stops_at_the_layer(package: Path) -> None:
    behind = {file.relative_to(package).as_posix() for file in files_behind("defs.assets")}
    assert behind == {
        "top.py",
        "inner/deep.py",
        "inner/templates/page.css",
    }


@pytest.mark.parametrize("name", ["top.py", "inner/deep.py", "inner/templates/page.css"])
def test_a_change_of_what_is_run_through_is_a_change(package: Path, name: str) -> None:
    before = digest()
    (package / name).write_text(SOURCES[name].replace("1", "2") + "\nx = 3\n", encoding="utf-8")
    assert digest() != before


@pytest.mark.parametrize("name", ["unrelated.py", "defs/other.py", "defs/assets.py"])
def test_a_change_elsewhere_is_none(package: Path, name: str) -> None:
    before = digest()
    (package / name).write_text(SOURCES[name] + "\nx = 3\n", encoding="utf-8")
    assert digest() == before


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = digest()
    documented = (
        '"""Deep."""\n\n\ndef compute():\n    """Return one."""\n    # One.\n    return (1)\n'
    )
    (package / "inner/deep.py").write_text(documented, encoding="utf-8")
    assert digest() == before


def test_a_module_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no module defs\.nowhere"):
        code_digest("defs.nowhere")


def test_every_module_with_assets_belongs_to_a_stage() -> None:
    made = {
        module.__name__.removeprefix("learn_assets.")
        for place in ("defs/*.py", parts("asset"))
        for module in load(place)
        if {"assets", "subtype_assets"} & vars(module).keys()
    }
    assert len(made) > 25
    assert made == {stage for stage in STAGES if not stage.endswith((".contract", ".section"))}


def test_what_an_analysis_computes_and_declares_is_part_of_what_its_stage_is_made_from() -> None:
    behind = files_behind(*provenance.SENSITIVITY_CODE)
    folder = PACKAGE / "analyses" / "site_holdout"
    assert {folder / "computation.py", folder / "contract.py"} <= behind.keys()
    assert not {folder / "section.py", folder / "figure.py", folder / "words.py"} & behind.keys()
    assert folder / "computation.py" not in files_behind(*provenance.CELL_CODE)


def test_the_code_of_the_report_has_every_section_and_figure() -> None:
    shown = {
        *(PACKAGE / "analyses").glob("*/section.py"),
        *(PACKAGE / "analyses").glob("*/figure.py"),
        *(PACKAGE / "analyses").glob("*/words.py"),
    }
    assert len(shown) > 15
    assert shown <= files_behind(*REPORT_CODE, shown=True).keys()


def test_masking_is_part_of_what_a_cell_is_made_from() -> None:
    disclosure = PACKAGE / "disclosure.py"
    assert disclosure in files_behind(*provenance.CELL_CODE)
    assert disclosure not in files_behind(*provenance.EMBEDDING_CODE)


def test_an_edited_statistic_leaves_tables_and_embeddings_as_they_are() -> None:
    comparison = PACKAGE / "evaluation" / "comparison.py"
    assert comparison in files_behind(*provenance.CELL_CODE)
    for stage in (provenance.DATA_CODE, provenance.WINDOW_CODE, provenance.EMBEDDING_CODE):
        assert comparison not in files_behind(*stage)
