"""Files as exports, spreadsheets and copies leave them: read and said, or an error names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError
from learn_assets.sources.ingest import ingest_table
from learn_assets.study import Study
from learn_assets.study.file import load_study
from learn_assets.validation.loss import RowLossError
from learn_assets_tests.field_cases.site import (
    assert_whole,
    facts,
    load,
    meds_events,
    omop_tables,
    site,
    study_of,
    write_meds,
    write_omop,
    write_trinetx,
)


def rewritten(folder: Path, change: Callable[[str], str | bytes], *names: str) -> Study:
    """Return the study of the site with some of its files (diagnosis.csv) changed."""
    source = write_trinetx(folder, site())
    for name in names or ("diagnosis",):
        path = folder / f"{name}.csv"
        changed = change(path.read_text(encoding="utf-8"))
        path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    return study_of(source)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("clean")
    lake = Lake(folder / "lake")
    load(study_of(write_trinetx(folder / "site", site())), lake)
    return lake


@pytest.mark.parametrize(
    "before",
    [
        "sep=,\n",
        "Query result of 2024-05-06, network A\n",
        "\n# exported by tool 3.1, rows: 760\n",
        "Diagnosis\n\n\n",
    ],
)
def test_lines_before_the_header_are_skipped_and_said(
    tmp_path: Path, lake: Lake, clean: Lake, before: str
) -> None:
    study = rewritten(tmp_path / "site", lambda text: before + text, "diagnosis", "lab_result")
    load(study, lake)
    assert facts(lake) == facts(clean)
    report = ingest_table(study, lake, "diagnosis")
    assert report.notes == ("diagnosis.csv: 1 lines before the header were skipped",)
    # A row is found by its line in the file.
    lines = (tmp_path / "site" / "diagnosis.csv").read_text(encoding="utf-8").split("\n")
    raw = lake.read("raw_diagnosis").row(0, named=True)
    assert lines[raw["source_row"] - 1].split(",")[3] == raw["code"]


def test_the_separator_of_a_sep_line_is_that_of_the_header(
    tmp_path: Path, lake: Lake, clean: Lake
) -> None:
    def semicolons(text: str) -> str:
        return "sep=;\n" + text.replace(",", ";")

    load(rewritten(tmp_path / "site", semicolons), lake)
    assert facts(lake) == facts(clean)


def test_delimiters_that_only_the_rows_have_are_left_out_and_said(
    tmp_path: Path, lake: Lake, clean: Lake
) -> None:
    def trailing(text: str) -> str:
        head, *rows = text.splitlines()
        return "\n".join([head, *(f"{row},," for row in rows)])

    study = rewritten(tmp_path / "site", trailing, "diagnosis", "procedure")
    load(study, lake)
    assert facts(lake) == facts(clean)
    assert "delimiters that the header lacks" in ingest_table(study, lake, "diagnosis").notes[0]


def test_cells_that_only_the_rows_have_stop_the_run(tmp_path: Path, lake: Lake) -> None:
    def shifted(text: str) -> str:
        head, *rows = text.splitlines()
        return "\n".join([head, *(f"{row},x" for row in rows)])

    with pytest.raises(RowLossError, match="rows end in a delimiter"):
        load(rewritten(tmp_path / "site", shifted), lake)


def test_of_two_columns_of_one_name_the_first_is_read_and_said(
    tmp_path: Path, lake: Lake, clean: Lake
) -> None:
    def twice(text: str) -> str:
        head, *rows = text.splitlines()
        return "\n".join([f"{head},date", *(f"{row},20991231" for row in rows)])

    study = rewritten(tmp_path / "site", twice)
    load(study, lake)
    assert facts(lake) == facts(clean)
    (note,) = ingest_table(study, lake, "diagnosis").notes
    assert note == "diagnosis.csv: the header names date more than once; the first is read"


@pytest.mark.parametrize("block_bytes", [None, 4096])
def test_a_quoted_line_break_is_part_of_its_row(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, block_bytes: int | None
) -> None:
    if block_bytes:
        # A record may lie across two blocks.
        monkeypatch.setattr(
            "learn_assets.sources.delimited.read_blocks.__defaults__", (block_bytes,)
        )
    tables = omop_tables(site())
    place = pl.int_range(pl.len())
    tables["drug_exposure"] = tables["drug_exposure"].with_columns(
        sig=pl.when(place % 4 == 0)
        .then(pl.lit('1 tablet "as needed",\r\n\nat most 3 a day'))
        .otherwise(pl.lit("1 tablet"))
    )
    reports = load(study_of(write_omop(tmp_path / "cdm", tables, "csv")), lake)
    assert_whole(lake)
    assert reports["medication"].rows_in == 240
    # The rows are numbered by the lines of the file.
    assert lake.read("raw_medication")["source_row"].to_list()[:3] == [2, 5, 6]


def test_a_stray_quotation_mark_takes_no_other_row_along(tmp_path: Path, lake: Lake) -> None:
    def stray(text: str) -> str:
        lines = text.splitlines()
        for place in (10, 13, 300):
            lines[place] = lines[place].replace(",", ',"', 1)
        return "\n".join(lines)

    reports = load(rewritten(tmp_path / "site", stray), lake)
    assert dict(reports["diagnosis"].reasons) == {"unbalanced_quote": 3}
    assert reports["diagnosis"].rows_kept == 757


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("\n", "\r"), r"line 1: the line ends are CR alone"),
        (lambda text: text.encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (lambda text: text.encode("utf-16-be"), "UTF-16 without a byte order mark"),
    ],
)
def test_a_file_in_another_form_is_named_as_what_it_is(
    tmp_path: Path, lake: Lake, change: Callable[[str], str | bytes], message: str
) -> None:
    with pytest.raises(SourceError, match=rf"^diagnosis\.csv.*{message}"):
        load(rewritten(tmp_path / "site", change), lake)


def test_windows_1252_is_named_as_what_it_is(tmp_path: Path, lake: Lake) -> None:
    def legacy(text: str) -> bytes:
        named = text.replace("service number 1", "Behçet\u2013service \u201c1\u201d")
        return named.replace("\n", "\r\n").encode("cp1252")

    study = rewritten(tmp_path / "site", legacy, "standardized_terminology")
    with pytest.raises(RowLossError, match=r"Windows-1252 \(convert it: iconv"):
        load(study, lake)


def test_folders_with_glob_characters_are_read_themselves(
    tmp_path: Path, lake: Lake, clean: Lake
) -> None:
    load(study_of(write_trinetx(tmp_path / "trinetx [2]" / "données d'été", site())), lake)
    assert facts(lake) == facts(clean)
    for number, source in enumerate(
        (
            write_omop(tmp_path / "cdm [v5.4] final", omop_tables(site()), "parquet"),
            write_meds(tmp_path / "meds[2]", meds_events(site())),
        )
    ):
        other = Lake(tmp_path / f"lake {number}")
        load(study_of(source), other)
        assert_whole(other)


def test_lakes_whose_names_match_as_patterns_keep_their_own_tables(
    tmp_path: Path, clean: Lake
) -> None:
    first, second = Lake(tmp_path / "lake [v2]"), Lake(tmp_path / "lake 2")
    load(study_of(write_trinetx(tmp_path / "base", site())), first)
    load(study_of(write_trinetx(tmp_path / "three", site(3))), second)
    assert first.read("patient").height == 60
    assert second.read("patient").height == 3
    assert facts(first) == facts(clean)


def test_tables_cut_into_folders_by_a_column_are_read_whole(tmp_path: Path, lake: Lake) -> None:
    tables = omop_tables(site())
    results = tables.pop("measurement")
    folder = tmp_path / "cdm"
    source = write_omop(folder, tables, "parquet")
    for number, part in enumerate(results.iter_slices(100)):
        path = folder / "measurement" / f"unit=u{number}" / "part.parquet"
        path.parent.mkdir(parents=True)
        part.write_parquet(path)
    load(study_of(source), lake)
    assert_whole(lake)
    assert set(lake.read("lab_result")["unit"]) == {None, "mg/dL"}


def test_a_study_file_from_a_windows_editor_loads(tmp_path: Path) -> None:
    lines = ["name: field", "title: Made-up", "source: {format: trinetx, folder: data}"]
    lines += [
        "cohort:",
        "  mode: derived",
        "  index_event: {kinds: [diagnosis], code_list: cancer}",
    ]
    lines += ["  outcome: {code_list: cancer}", "windows: [{LIS: 1, BP: 0, FUP: 2}]", ""]
    (tmp_path / "study.yaml").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert load_study(tmp_path / "study.yaml").name == "field"
