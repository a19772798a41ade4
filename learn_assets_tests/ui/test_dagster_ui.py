from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from learn_assets_tests.web import free_port, wait_until_served

REPOSITORY = Path(__file__).parents[2]
GROUPS = ("ingest", "validated", "vocabulary", "cohort", "features", "embeddings", "models")

pytestmark = [pytest.mark.ui, pytest.mark.slow]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The UI of the demo study on a free loopback port, with an instance and a lake of its own."""
    home = tmp_path_factory.mktemp("instance")
    settings = (REPOSITORY / "deploy" / "dagster.yaml").read_text(encoding="utf-8")
    (home / "dagster.yaml").write_text(settings, encoding="utf-8")
    environment = os.environ | {
        "DAGSTER_HOME": str(home),
        "LEARN_HOME": str(tmp_path_factory.mktemp("lake")),
        "LEARN_STUDY": "demo",
    }
    port = free_port()
    server = Path(sys.executable).parent / "dagster-webserver"
    options = ["-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    with (home / "server.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [server, *options], cwd=REPOSITORY, env=environment, stdout=log, stderr=log
        )
        try:
            wait_until_served(f"http://127.0.0.1:{port}/server_info", process, home / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_the_graph_shows_every_group_and_no_pop_up(page: Page, address: str) -> None:
    page.goto(f"{address}/asset-groups")
    for group in GROUPS:
        expect(page.get_by_text(group, exact=True).first).to_be_visible(timeout=45_000)
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize(
    ("asset", "column"),
    [
        ("diagnosis", "code_system"),
        ("cohort", "event_observed"),
        ("narratives", "text_sha256"),
        ("patient_embeddings", "vector"),
        ("performance", "estimate"),
    ],
)
def test_an_asset_tells_what_it_is_before_it_is_made(
    page: Page, address: str, asset: str, column: str
) -> None:
    page.goto(f"{address}/assets/{asset}?view=overview")
    for part in ("Description", "Owners", "Kinds", "Columns"):
        expect(page.get_by_text(part, exact=True).first).to_be_visible(timeout=45_000)
    expect(page.get_by_text(column, exact=True).first).to_be_visible()
