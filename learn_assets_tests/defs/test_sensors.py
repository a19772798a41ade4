"""The embedding sensor: what it asks for, how often it tries again, and why it waits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from dagster._core.test_utils import create_run_for_test

from learn_assets import provenance
from learn_assets.defs import embeddings, jobs, sensors
from learn_assets.defs.resources import DevicesResource, LakeResource
from learn_assets.embedding.devices import Devices, Gpu
from learn_assets.lake import Lake
from learn_assets.schemas import registry
from learn_assets.study import Study
from learn_assets_tests.embedding.conftest import make_narratives
from learn_assets_tests.embedding.fakes import CountingBackend

NARRATIVES = make_narratives(4, longest=6)
PATIENTS = NARRATIVES["patient_id"].unique().sort().to_list()
GIB = 1 << 30
ROOMY = (70 * GIB,)
TAG = "dagster/partition"


class FakeDevices(DevicesResource):
    """A machine with GPUs of these free bytes, and 8 GiB of memory."""

    gpus: list[int]

    def probe(self) -> Devices:
        gpus = tuple(Gpu(i, "H100", 80 * GIB, free) for i, free in enumerate(self.gpus))
        return Devices(gpus, 8 * GIB)


class BrokenBackend(CountingBackend):
    """Fails at the first batch."""

    def encode(self, texts: Sequence[str], padded_length: int) -> npt.NDArray[np.float32]:
        raise RuntimeError("planted")


@dataclass
class Site:
    """A lake with narratives and patients, its definitions, and an instance."""

    study: Study
    lake: Lake
    instance: dg.DagsterInstance
    now: float = field(default_factory=time.time)

    def of_first_window(self) -> Site:
        """Return the same lake and instance under a study of one window."""
        first = self.study.model_copy(update={"windows": self.study.windows[:1]})
        return Site(first, self.lake, self.instance)

    def resources(self, gpus: Sequence[int]) -> dict[str, Any]:
        return {
            "lake": LakeResource(study_name=self.study.name, home="unused"),
            "devices": FakeDevices(gpus=list(gpus)),
        }

    def definitions(self, gpus: Sequence[int]) -> dg.Definitions:
        return dg.Definitions(
            assets=embeddings.assets(self.study),
            asset_checks=embeddings.asset_checks(self.study),
            jobs=[
                dg.define_asset_job(jobs.EMBEDDINGS, dg.AssetSelection.assets("patient_embeddings"))
            ],
            sensors=sensors.sensors(self.study),
            resources=self.resources(gpus),
            executor=dg.in_process_executor,
        )

    def tick(
        self, gpus: Sequence[int] = ROOMY, cursor: str | None = None
    ) -> list[dg.RunRequest] | str:
        """Return what the sensor asks for, or why it asks for nothing."""
        definitions = self.definitions(gpus)
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=cursor,
            resources=self.resources(gpus),
            repository_def=definitions.get_repository_def(),
        ) as context:
            data = definitions.resolve_sensor_def("embedding_gpu_sensor").evaluate_tick(context)
        assert data.cursor in (None, cursor)
        return list(data.run_requests or []) or str(data.skip_message)

    def request(self, **options: Any) -> dg.RunRequest:
        requests = self.tick(**options)
        assert not isinstance(requests, str), requests
        return requests[0]

    def reason(self, **options: Any) -> str:
        reason = self.tick(**options)
        assert isinstance(reason, str), reason
        return reason

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Run what was asked for."""
        return (
            self.definitions(ROOMY)
            .resolve_job_def(jobs.EMBEDDINGS)
            .execute_in_process(
                partition_key=request.partition_key,
                instance=self.instance,
                tags=dict(request.tags),
                raise_on_error=False,
            )
        )

    def begin(self, job: str, status: dg.DagsterRunStatus, **tags: str) -> dg.DagsterRun:
        """Put a run into the instance that has not ended."""
        keys = {f"{TAG}/{name}": value for name, value in tags.items()}
        return create_run_for_test(self.instance, job_name=job, status=status, tags=keys)


@pytest.fixture
def site(small_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    lake = Lake.open(small_study.name, Path("unused"))
    lake.write("narratives", NARRATIVES.sort("patient_id", "kind"))
    # The second window has a patient whom the first lacks.
    for window, last in zip(small_study.windows, (3, 4), strict=True):
        for table, patients in (
            ("cohort", PATIENTS[:2]),
            ("scoring_population", PATIENTS[2:last]),
        ):
            lake.write(table, pl.DataFrame({"patient_id": patients}), window=window)
    works(monkeypatch)
    with dg.DagsterInstance.ephemeral() as instance:
        made = Site(small_study, lake, instance)
        monkeypatch.setattr(sensors.time, "time", lambda: made.now)
        yield made


def works(
    monkeypatch: pytest.MonkeyPatch, backend: type[CountingBackend] = CountingBackend
) -> list:
    """Put a fake encoder in the place of the real one; return the devices it was opened on."""
    opened: list[str | None] = []

    def chosen(choice: object, *, device: str | None) -> CountingBackend:
        opened.append(device)
        return backend(384)

    monkeypatch.setattr("learn_assets.embedding.cell.chosen_backend", chosen)
    return opened


def keys(site: Site) -> list[str]:
    return [f"minilm|{window.key}" for window in site.study.windows]


def test_it_is_off_until_somebody_starts_it(small_study: Study) -> None:
    (sensor,) = sensors.sensors(small_study)
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert sensor.job_name == "embeddings"


def test_cells_are_asked_for_one_after_the_other_until_all_are_made(site: Site) -> None:
    for number, key in enumerate(keys(site)):
        request = site.request()
        assert request.partition_key == key
        assert isinstance(request.partition_key, dg.MultiPartitionKey)
        result = site.run(request)
        assert result.success
        (made,) = result.get_asset_materialization_events()
        embedded = made.materialization.metadata["chunks_embedded"].value
        assert (embedded > 0) == (number == 0)
    assert "every cell was embedded from the narratives in the lake" in site.reason()


def test_newer_narratives_and_patients_ask_again_and_models_do_not(
    site: Site, small_study: Study
) -> None:
    for _ in keys(site):
        assert site.run(site.request()).success
    other = small_study.model_copy(
        update={"models": small_study.models.model_copy(update={"seed": 9})}
    )
    assert isinstance(Site(other, site.lake, site.instance).tick(), str)
    site.lake.write(
        "scoring_population",
        pl.DataFrame({"patient_id": []}, schema={"patient_id": pl.String}),
        window=small_study.windows[1],
    )
    assert site.request().partition_key == keys(site)[1]
    site.lake.write("narratives", NARRATIVES.sort("patient_id", "kind")[1:])
    assert site.request().partition_key == keys(site)[0]


def test_a_lost_cursor_changes_nothing(site: Site) -> None:
    first = site.request()
    assert site.request(cursor="something").run_key == first.run_key == site.request().run_key


def test_the_request_names_the_device_and_the_run_uses_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = works(monkeypatch)
    full = site.request(gpus=[GIB // 8])
    assert full.tags["learn_assets/device"] == "cpu"
    assert site.run(full).success
    assert opened == ["cpu"]
    assert "learn_assets/device" not in site.request().tags
    second = site.request(gpus=[GIB // 8, 9 * GIB])
    assert second.tags["learn_assets/device"] == "cuda:1"


def test_a_failed_cell_is_retried_later_and_a_bounded_number_of_times(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    works(monkeypatch, BrokenBackend)
    one = site.of_first_window()
    seen = set()
    for attempt in range(1, 5):
        request = one.request()
        assert request.tags["learn_assets/attempt"] == str(attempt)
        seen.add(request.run_key)
        assert not one.run(request).success
        if attempt < 4:
            assert f"tried {attempt} of 4 times in vain" in one.reason()
        site.now += 60.0 * 5 * 2 ** (attempt - 1) + 5
    assert len(seen) == 4
    assert "tried 4 times in vain with these inputs" in one.reason()
    assert "planted" not in one.reason()
    # Other inputs are another chance.
    site.lake.write("narratives", NARRATIVES.sort("patient_id", "kind")[1:])
    works(monkeypatch)
    assert one.run(one.request()).success


def test_a_run_under_way_is_waited_for(site: Site) -> None:
    window = site.study.windows[0].key
    run = site.begin(
        registry.RISK_MODELS, dg.DagsterRunStatus.STARTED, window=window, encoder="minilm"
    )
    assert "a run of it is under way" in site.reason()
    assert "another window of this encoder" in site.reason()
    site.instance.report_run_canceled(run)
    assert site.request().partition_key == keys(site)[0]


@pytest.mark.parametrize(
    ("job", "window", "waits"),
    [
        (registry.DATA_TABLES, None, (0, 1)),
        (registry.COHORT_TABLES, 1, (1,)),
        (registry.RESULTS, None, ()),
    ],
)
def test_tables_that_are_being_made_are_waited_for(
    site: Site, job: str, window: int | None, waits: tuple[int, ...]
) -> None:
    tags = {} if window is None else {TAG: site.study.windows[window].key}
    create_run_for_test(
        site.instance, job_name=job, status=dg.DagsterRunStatus.NOT_STARTED, tags=tags
    )
    found = site.tick()
    if 0 in waits:
        assert "may change its narratives or patients" in str(found)
    else:
        assert not isinstance(found, str)
        assert [request.partition_key for request in found] == [keys(site)[0]]


def test_a_pool_without_a_slot_is_waited_for(site: Site) -> None:
    storage = site.instance.event_log_storage
    storage.set_concurrency_slots("gpu", 0)
    assert "the pool `gpu` is closed" in site.reason()
    storage.set_concurrency_slots("gpu", 2)
    assert site.request()
    elsewhere = {"window": "other", "encoder": "other"}
    for _ in range(2):
        site.begin(jobs.EMBEDDINGS, dg.DagsterRunStatus.NOT_STARTED, **elsewhere)
    assert "the pool `gpu` has no slot left of 2" in site.reason()


def test_missing_and_refused_tables_are_waited_for(site: Site) -> None:
    stamp = site.lake.stamp("narratives")
    assert stamp is not None
    provenance.record_verdict(site.lake, "narratives", stamp.fingerprint, passed=False)
    assert "checks failed on narratives" in site.reason()
    site.lake.path("narratives").unlink()
    assert "its tables are not in the lake yet: narratives" in site.reason()


def test_a_model_that_is_not_here_says_where_to_place_it(
    site: Site, small_study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    document = small_study.model_dump() | {"encoders": [{"id": "qwen3-embedding-8b"}]}
    large = Site(Study.model_validate(document), site.lake, site.instance)
    assert "hf download Qwen/Qwen3-Embedding-8B" in large.reason()


def test_a_large_encoder_waits_for_a_gpu_with_room(
    site: Site, small_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = sensors.Need("here", 20 * GIB, 40 * GIB, small=False)
    monkeypatch.setattr(sensors, "need_of", lambda choice: large)
    assert "this machine has none" in site.reason(gpus=[])
    assert "it needs 20.0 GiB and 3.0 GiB on GPU 0 are free" in site.reason(gpus=[3 * GIB])
    assert site.request(gpus=ROOMY)


def test_a_run_that_ends_well_and_changes_nothing_is_not_repeated_without_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = site.of_first_window()
    monkeypatch.setattr(sensors.provenance, "is_current", lambda *_, **__: False)
    for _ in range(4):
        assert one.run(one.request()).success
        assert "in vain" in one.reason()
        site.now += 3_600
    assert "tried 4 times in vain" in one.reason()
    site.now += 86_400
    assert one.request()
