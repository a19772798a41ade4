"""The wheel in a virtual environment of its own, used from an empty folder: no clone is in reach.

The environment reads the dependencies from the one that runs the tests. A path that a `.pth` file
adds has its own `.pth` files ignored, so the editable install of this clone is not seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from zipfile import ZipFile

import pytest

from learn_assets.study.file import load_study
from learn_assets_tests.web import START_SECONDS, free_port, wait_until_served

REPOSITORY = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
# Made by a developer who runs Python and dbt in the clone.
LEFT_OVERS = (
    "learn_assets/__pycache__/lake.pyc",
    "dbt_like_sql/target/manifest.json",
    "dbt_like_sql/target/compiled/cohort.sql",
    "dbt_like_sql/logs/dbt.log",
    "dbt_like_sql/dbt_packages/other/macro.sql",
)
OF_DBT = ("target", "logs", "dbt_packages")
LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus locationOrLoadError { __typename ... on PythonError { message } } } } } }"""

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Installation:
    """A virtual environment with the wheel, and an empty folder to work in."""

    environment: Path
    folder: Path

    @property
    def package(self) -> Path:
        """Folder of the installed package."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.environment / "lib" / version / "site-packages" / "learn_assets"

    def start(self, program: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program of the environment with nothing of the tests in its environment."""
        ours = ("PYTHONPATH", "DAGSTER_HOME", "LEARN_HOME", "LEARN_STUDY")
        return subprocess.Popen(
            [self.environment / "bin" / program, *arguments],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if name not in ours},
            **options,
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution in which a developer has worked."""
    folder = tmp_path_factory.mktemp("build")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "-d", folder]
    subprocess.run(build, cwd=REPOSITORY, check=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    source = next(path for path in folder.iterdir() if path.is_dir())
    for name in LEFT_OVERS:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    subprocess.run([*PIP, "wheel", *options, source], check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel installed into an empty virtual environment."""
    folder = tmp_path_factory.mktemp("installation")
    made = Installation(folder / "environment", folder / "empty")
    made.folder.mkdir()
    venv.create(made.environment)
    python = str(made.environment / "bin" / "python")
    options = ["--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*PIP, "--python", python, "install", *options, wheel], check=True)
    dependencies = sysconfig.get_path("purelib")
    (made.package.parent / "dependencies.pth").write_text(f"{dependencies}\n", encoding="utf-8")
    return made


@pytest.fixture
def unwritten(installation: Installation) -> Iterator[None]:
    """Sees that nothing is written among the installed files: they may be read-only."""
    before = files(installation.package)
    yield
    assert files(installation.package) == before


def files(folder: Path) -> dict[str, int]:
    """Return each file under a folder, compiled Python apart, with the time it was written."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }


def test_the_wheel_carries_package_and_project_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        carried = {name for name in archive.namelist() if ".dist-info/" not in name}
    # Worked examples are for who reads the code.
    code = {name for name in files(REPOSITORY / "learn_assets") if not name.endswith("README.md")}
    sql = {name for name in files(REPOSITORY / "dbt_like_sql") if not name.startswith(OF_DBT)}
    assert carried == {
        *(f"learn_assets/{name}" for name in code),
        *(f"learn_assets/project/dbt_like_sql/{name}" for name in sql),
        *("learn_assets/project/deploy/dagster.yaml", "learn_assets/project/workspace.yaml"),
    }


def test_the_environment_does_not_see_the_clone(installation: Installation) -> None:
    code = "import learn_assets; print(learn_assets.__file__)"
    process = installation.start("python", "-c", code, stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=60)
    assert output.decode().strip() == str(installation.package / "__init__.py")


def test_data_and_cohorts_of_the_demo_are_made(installation: Installation, unwritten: None) -> None:
    windows = [window.key for window in load_study("demo").windows]
    expected = ["data_tables", *(f"cohort_tables {key}" for key in windows)]
    command = ("learn-assets", "materialize", "--study", "demo")
    made: list[str] = []
    with installation.start(*command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            made.append(line.decode().partition(" s  made ")[2].strip())
            # What follows, from vectors to the report, takes minutes.
            if len(made) == len(expected):
                process.kill()
    assert made == expected
    tables = installation.folder / ".learn" / "demo" / "tables"
    assert all((tables / window / "cohort.parquet").is_file() for window in windows)


def test_the_ui_serves_the_code_location(installation: Installation, unwritten: None) -> None:
    port, log = free_port(), installation.folder / "ui.log"
    command = ("learn-assets", "ui", "--port", str(port))
    with log.open("wb") as output:
        # Ctrl-C in a terminal reaches every process of the group.
        process = installation.start(*command, stdout=output, stderr=output, start_new_session=True)
        try:
            wait_until_served(f"http://127.0.0.1:{port}/server_info", process, log)
            assert loaded_locations(port) == {"learn_assets": "RepositoryLocation"}
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=60)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    settings = installation.folder / ".learn" / "dagster_home" / "dagster.yaml"
    assert settings.read_bytes() == (REPOSITORY / "deploy" / "dagster.yaml").read_bytes()


def loaded_locations(port: int) -> dict[str, str]:
    """Return what each code location of the UI has become, once all are loaded."""
    query = json.dumps({"query": LOCATIONS}).encode()
    request = Request(
        f"http://127.0.0.1:{port}/graphql", query, {"Content-Type": "application/json"}
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with urlopen(request, timeout=30) as answer:
            entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
        if all(entry["loadStatus"] == "LOADED" for entry in entries):
            return {
                entry["name"]: entry["locationOrLoadError"].get("message")
                or entry["locationOrLoadError"]["__typename"]
                for entry in entries
            }
        time.sleep(0.5)
    pytest.fail("a code location of the UI was not loaded")
