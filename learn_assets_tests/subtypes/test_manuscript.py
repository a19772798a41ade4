"""Files of results: what an earlier run made goes, and what a person put beside it stays."""

from __future__ import annotations

from learn_assets.lake import Lake
from learn_assets.subtypes.manuscript import put_files, read_files


def test_a_file_that_is_made_no_more_goes_and_a_persons_file_stays(lake: Lake) -> None:
    lake.write("figures", put_files(lake, "figures", {"a.svg": ("A", b"1"), "b.svg": ("B", b"2")}))
    notes = lake.folder("figures") / "notes.txt"
    notes.write_text("of a person")
    lake.write("figures", put_files(lake, "figures", {"b.svg": ("B", b"3")}))
    assert read_files(lake, "figures") == {"b.svg": ("B", b"3")}
    assert {path.name for path in lake.folder("figures").iterdir()} == {"b.svg", "notes.txt"}
