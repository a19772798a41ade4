"""Files of a synthetic site: reproducible, in TriNetX layout, clean but for planted rows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from learn_assets.synthetic import write_site
from learn_assets.synthetic.dirty_rows import REASONS
from learn_assets.synthetic.laboratory import NEGATIVE_TEXTS, POSITIVE_TEXTS
from learn_assets.synthetic.site import BLOCK_PATIENTS, LAYOUTS
from learn_assets_tests.synthetic.conftest import MadeSite, read_events, settings

EVENT_FILES = {
    "diagnosis.csv": "date",
    "procedure.csv": "date",
    "medication_drug.csv": "start_date",
    "lab_result.csv": "date",
}


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_site(tmp_path / name, settings())
    assert digests(tmp_path / "first") == digests(tmp_path / "second")


@pytest.mark.parametrize("changed", [{"seed": 6}, {"coding_habit": "transfer"}])
def test_other_settings_give_other_records(tmp_path: Path, changed: dict[str, object]) -> None:
    write_site(tmp_path / "one", settings())
    write_site(tmp_path / "other", settings(**changed))
    one, other = digests(tmp_path / "one"), digests(tmp_path / "other")
    assert all(one[name] != other[name] for name in (*EVENT_FILES, "patient.csv"))


def test_naming_care_sites_changes_no_other_file(tmp_path: Path) -> None:
    for name, more in (("plain", {}), ("sites", {"care_sites": 3})):
        write_site(tmp_path / name, settings(**more))
    plain, sites = digests(tmp_path / "plain"), digests(tmp_path / "sites")
    changed = {name for name in sites if plain.get(name) != sites[name]}
    assert changed == {"care_site.csv", "truth/dirty_rows.json", "truth/site.json"}


def test_the_last_care_site_writes_the_same_episodes_otherwise(tmp_path: Path) -> None:
    apart = {"care_sites": 3, "shared_synonyms": 0.0, "dirty_share": 0.0}
    for name, other in (("alike", False), ("apart", True)):
        write_site(tmp_path / name, settings(**apart, other_habit_at_last_site=other))
    sites = pl.read_csv(tmp_path / "apart" / "care_site.csv", infer_schema=False)
    assert set(sites["care_site"]) == {"site_1", "site_2", "site_3"}
    last = sites.filter(care_site="site_3")
    truth = pl.read_csv(tmp_path / "apart" / "truth" / "concept_codes.csv", infer_schema=False)
    foreign = truth.filter(preferred_by="transfer").select("code_system", "code").unique()
    for name in ("diagnosis.csv", "procedure.csv"):
        alike, written = (
            pl.read_csv(tmp_path / folder / name, infer_schema=False)
            for folder in ("alike", "apart")
        )
        # What patients of the other sites have on file stays, whatever the order of its lines.
        rest = [frame.join(last, on="patient_id", how="anti") for frame in (alike, written)]
        assert rest[0].sort(pl.all()).equals(rest[1].sort(pl.all()))
        shares = [
            frame.join(last, on="patient_id", how="semi").join(
                foreign, on=["code_system", "code"], how="semi"
            )
            for frame in (alike, written)
        ]
        assert shares[1].height > 3 * shares[0].height
        of_last = [frame.join(last, on="patient_id", how="semi") for frame in (alike, written)]
        days = [
            frame.group_by("patient_id").agg(pl.col("date").min(), pl.col("date").max().alias("to"))
            for frame in of_last
        ]
        assert days[0].sort("patient_id").equals(days[1].sort("patient_id"))
    with pytest.raises(ValueError, match="care_sites"):
        settings(other_habit_at_last_site=True)


def test_a_larger_site_starts_with_the_same_full_blocks(tmp_path: Path) -> None:
    for name, patients in (("small", BLOCK_PATIENTS), ("large", BLOCK_PATIENTS + 50)):
        write_site(tmp_path / name, settings(patients=patients))
    small = (tmp_path / "small" / "procedure.csv").read_bytes()
    assert (tmp_path / "large" / "procedure.csv").read_bytes().startswith(small)


def test_a_site_is_a_new_folder_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "sites" / "site"
    write_site(folder, settings())
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_is_there_is_never_replaced_by_a_site(tmp_path: Path) -> None:
    theirs = tmp_path / "notes.txt"
    theirs.write_text("of a person")
    with pytest.raises(FileExistsError, match="new folder"):
        write_site(tmp_path, settings())
    assert theirs.read_text() == "of a person"


def test_fifteen_hundred_patients_take_seconds(site: MadeSite) -> None:
    assert site.seconds < 10


def test_planted_rows_are_counted_and_of_every_kind(site: MadeSite) -> None:
    planted = json.loads((site.folder / "truth" / "dirty_rows.json").read_text())
    assert planted == site.summary.dirty_rows
    for layout in LAYOUTS:
        assert set(planted[layout.name]) == set(layout.reasons)
        assert min(planted[layout.name].values()) >= 1
    assert all(set(planted[name]) == set(REASONS) for name in EVENT_FILES)


def test_planted_counts_agree_with_a_plain_look_at_the_lines(site: MadeSite) -> None:
    for layout in LAYOUTS:
        planted = site.summary.dirty_rows[layout.name]
        lines = site.lines(layout.name)
        assert len(lines) == site.summary.rows[layout.name]
        assert len(lines) - len(set(lines)) == planted["duplicate_row"]
        assert sum(b"\xff" in line for line in lines) == planted["bad_encoding"]
        assert sum(line.count(b'"') % 2 for line in lines) == planted["unbalanced_quote"]
        widths = [line.count(b",") + 1 for line in lines]
        odd = sum(width != len(layout.header) for width in widths)
        assert odd == planted["wrong_column_count"]
        nobody = sum(line.startswith(b",") for line in lines)
        assert nobody == planted["missing_patient_id"]


def test_no_dirty_share_means_no_dirty_row(clean_site: MadeSite) -> None:
    assert all(sum(rows.values()) == 0 for rows in clean_site.summary.dirty_rows.values())
    for layout in LAYOUTS:
        lines = clean_site.lines(layout.name)
        assert len(set(lines)) == len(lines)


@pytest.mark.parametrize(("name", "date_column"), EVENT_FILES.items())
def test_clean_rows_break_no_rule(clean_site: MadeSite, name: str, date_column: str) -> None:
    events = read_events(clean_site, name, date_column)
    people = pl.read_csv(clean_site.folder / "patient.csv", infer_schema=False).with_columns(
        pl.col("year_of_birth").cast(pl.Int64, strict=False),
        pl.col("month_year_death").str.to_date("%Y%m", strict=False).alias("death"),
    )
    joined = events.join(people, on="patient_id", how="left", validate="m:1")
    assert joined["sex"].null_count() == 0
    assert joined.filter(pl.col("day").dt.year() < pl.col("year_of_birth")).is_empty()
    late = pl.col("day") > pl.col("death").dt.month_end() + pl.duration(days=60)
    assert joined.filter(late).is_empty()
    assert joined.select("patient_id", "code", "code_system").null_count().sum_horizontal()[0] == 0


def test_ids_are_text_and_some_are_digits_with_leading_zeros(site: MadeSite) -> None:
    ids = site.truth()["patient_id"]
    assert ids.n_unique() == len(ids)
    plain = ids.filter(ids.str.contains(r"^00\d+$"))
    assert 0 < len(plain) < len(ids) / 4


def test_records_have_a_heavy_tail(site: MadeSite) -> None:
    names = ("diagnosis.csv", "procedure.csv", "medication_drug.csv")
    owners = [line.split(b",", 1)[0] for name in names for line in site.lines(name)]
    counts = pl.Series(owners).value_counts()["count"]
    assert 60 <= counts.quantile(0.5) <= 200
    assert counts.quantile(0.99) > 5 * counts.quantile(0.5)


def test_icd_9_ends_where_icd_10_starts(clean_site: MadeSite) -> None:
    for name in ("diagnosis.csv", "procedure.csv"):
        events = read_events(clean_site, name)
        old = pl.col("code_system").str.starts_with("ICD-9")
        new = pl.col("code_system").str.starts_with("ICD-10")
        assert events.filter(old)["day"].max() < pl.date(2015, 10, 1).pipe(pl.select).item()
        assert events.filter(new)["day"].min() >= pl.date(2015, 10, 1).pipe(pl.select).item()


def test_positive_ana_starts_on_the_index_date(clean_site: MadeSite) -> None:
    results = read_events(clean_site, "lab_result.csv")
    text, number = pl.col("lab_result_text_val"), pl.col("lab_result_num_val")
    is_ana = pl.col("code").is_in(["5048-4", "8061-4", "42254-3"])
    positive = text.is_in(POSITIVE_TEXTS) | (number.cast(pl.Float64, strict=False) >= 80)
    first = results.filter(is_ana, positive).group_by("patient_id").agg(pl.col("day").min())
    truth = clean_site.truth().filter(pl.col("ana") == "positive")
    matched = truth.join(first, on="patient_id", how="full", coalesce=True)
    assert matched.filter(pl.col("index").ne_missing(pl.col("day"))).is_empty()
    assert not set(POSITIVE_TEXTS) & set(NEGATIVE_TEXTS)


def test_outcome_is_coded_on_two_days_and_never_before_it_happens(clean_site: MadeSite) -> None:
    diagnoses = read_events(clean_site, "diagnosis.csv").filter(
        pl.col("code").str.contains(r"^(M32\.[189]|710\.0)")
    )
    days = diagnoses.group_by("patient_id").agg(
        pl.col("day").n_unique().alias("days"), pl.col("day").min().alias("first")
    )
    truth = clean_site.truth().join(days, on="patient_id", how="left")
    ill = truth.filter(pl.col("outcome").is_not_null())
    assert (ill["days"] >= 2).all()
    assert (ill["first"] == ill["outcome"]).all()
    well = truth.filter(pl.col("outcome").is_null())
    assert (well["days"].drop_nulls() == 1).all()
    assert (well.drop_nulls("first").select(pl.col("first") > pl.col("index"))).to_series().all()
