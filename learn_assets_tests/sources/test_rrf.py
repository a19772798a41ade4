"""RxNorm release files: the four narrow tables, absent files, wrong files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from learn_assets.lake import Lake
from learn_assets.sources.files import SourceError
from learn_assets.sources.ingest import ingest_rxnorm, source_fingerprint
from learn_assets.sources.rrf import ingest_release
from learn_assets_tests.extracts import GOLDEN, golden_study

CONSO = '161|ENG||||||0|0|161||RXNORM|IN|161|a "b", c||N|4096|\n'
SAT = (
    "161|||1|AUI|1|||NDC|RXNORM|0000-9384-015|N|4096|\n161|||2|AUI|2|||DDF|RXNORM|tablet|N|4096|\n"
)
REL = (
    "161||CUI|RN|200||CUI|has_ingredient|1||RXNORM|RXNORM|||N|4096|\n"
    "|55|AUI|RO||66|AUI|constitutes|2||RXNORM|RXNORM|||N|4096|\n"
    "161||CUI|RB|300||CUI||3||RXNORM|RXNORM|||N|4096|\n"
)
ARCHIVE = "1||old||||9||ENG|||RXN|900|RXNORM|IN|161|\n2||same||||9||ENG|||RXN|161|RXNORM|IN|161|\n"


def release(folder: Path, **files: str) -> Path:
    nested = folder / "rrf"
    nested.mkdir(parents=True)
    for name, text in files.items():
        (nested / f"{name}.RRF").write_text(text, encoding="utf-8")
    return folder


def test_the_four_tables_of_a_release(tmp_path: Path, lake: Lake) -> None:
    folder = release(tmp_path / "r", RXNCONSO=CONSO, RXNSAT=SAT, RXNREL=REL, RXNATOMARCHIVE=ARCHIVE)
    reports = ingest_release(lake, folder)
    assert [report.rows_read for report in reports] == [1, 2, 3, 2]
    assert lake.read("rxnconso").rows() == [("161", "ENG", "N", "RXNORM", "IN", 'a "b", c', 1)]
    assert lake.read("rxnsat").rows() == [("161", "NDC", "0000-9384-015", "RXNORM", "N", 1)]
    assert lake.read("rxnrel").rows() == [("161", "has_ingredient", "200"), ("161", "RB", "300")]
    assert lake.read("rxnatomarchive").rows() == [("900", "161")]


def test_absent_files_give_empty_tables(tmp_path: Path, lake: Lake) -> None:
    ingest_release(lake, release(tmp_path / "r", RXNCONSO=CONSO))
    for table in ("rxnsat", "rxnrel", "rxnatomarchive"):
        assert lake.read(table).is_empty()
    ingest_release(lake, None)
    assert lake.read("rxnconso").is_empty()


def test_a_broken_line_is_counted_and_left_out(tmp_path: Path, lake: Lake) -> None:
    folder = release(tmp_path / "r", RXNCONSO=CONSO + "161|ENG|\n")
    reports = ingest_release(lake, folder)
    assert (reports[0].rows_read, reports[0].rows_malformed) == (2, 1)


@pytest.mark.parametrize("first", ["\n", "\r"])
def test_line_ends_of_cr_alone_are_named(first: str, tmp_path: Path, lake: Lake) -> None:
    lines = [line.removesuffix("\n") for line in (CONSO, CONSO, CONSO)]
    folder = release(tmp_path / "r", RXNCONSO=lines[0] + first + "\r".join(lines[1:]))
    with pytest.raises(SourceError, match=r"RXNCONSO\.RRF, line .* CR "):
        ingest_release(lake, folder)


def test_compressed_release_files_read_alike(tmp_path: Path, lake: Lake) -> None:
    folder = release(tmp_path / "r", RXNCONSO=CONSO)
    path = folder / "rrf" / "RXNCONSO.RRF"
    path.with_name("RXNCONSO.RRF.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    ingest_release(lake, folder)
    assert lake.read("rxnconso").height == 1


@pytest.mark.parametrize("files", [{}, {"RXNCONSO": "a|b|\n"}])
def test_a_folder_that_is_no_release_is_refused(
    files: dict[str, str], tmp_path: Path, lake: Lake
) -> None:
    with pytest.raises(SourceError, match="RXNCONSO"):
        ingest_release(lake, release(tmp_path / "r", **files))


def test_two_releases_under_one_folder_are_refused(tmp_path: Path, lake: Lake) -> None:
    release(tmp_path / "r" / "a", RXNCONSO=CONSO)
    release(tmp_path / "r" / "b", RXNCONSO=CONSO)
    with pytest.raises(SourceError, match="2 times"):
        ingest_release(lake, tmp_path / "r")


def test_golden_release(lake: Lake) -> None:
    study = golden_study()
    ingest_rxnorm(study, lake)
    text = (GOLDEN / "RxNorm_full_12022024/rrf/RXNSAT.RRF").read_text(encoding="utf-8")
    lines = [line.split("|") for line in text.splitlines()]
    expected = [(fields[0], fields[10]) for fields in lines if fields[8] == "NDC"]
    assert lake.read("rxnsat").select("rxcui", "value").rows() == expected
    assert len(source_fingerprint(study, lake, "rxnorm_release")) == 64
