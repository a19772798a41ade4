"""Backend options: texts leave the machine only when the study says so, and keys never stand in it.

The declarations of a server decide the identity of vectors, not those of the transport.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from learn_assets.embedding.encoders import Encoder, MissingModelError, find_encoder
from learn_assets.lake import Lake
from learn_assets.provenance import cell_inputs
from learn_assets.study import EncoderChoice, Study
from learn_assets.study.backends import SERVER_TRANSPORT, RayOptions, ServerOptions

LOCAL: dict[str, Any] = {"base_url": "http://127.0.0.1:8000/v1", "model": "m", "dtype": "float32"}


def served(**changes: object) -> EncoderChoice:
    server = ServerOptions.model_validate({**LOCAL, **changes})
    return EncoderChoice(id="minilm", backend="openai_server", server=server)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8000/v1", "http://[::1]:80/v1", "https://LOCALHOST/v1/"]
)
def test_loopback_needs_no_permission(address: str) -> None:
    assert ServerOptions.model_validate({**LOCAL, "base_url": address})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_url": "https://gpu.example.org/v1"}, "allow_remote_host"),
        ({"base_url": "https://localhost.example.org/v1"}, "allow_remote_host"),
        ({"base_url": "https://10.0.0.1/v1"}, "allow_remote_host"),
        ({"base_url": "http://gpu.example.org/v1", "allow_remote_host": True}, "https"),
        ({"base_url": "ftp://127.0.0.1/v1"}, "must be an address"),
        ({"base_url": "127.0.0.1:8000"}, "must be an address"),
        ({"base_url": "http://127.0.0.1:port/v1"}, "must be an address"),
        ({"base_url": "http://user:secret@127.0.0.1/v1"}, "api_key_variable"),
        ({"base_url": "http://127.0.0.1/v1?key=secret"}, "api_key_variable"),
        ({"same_space_as_local": True, "dtype": "q8_0"}, "nothing here computes in q8_0"),
    ],
)
def test_an_unsafe_server_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ServerOptions.model_validate({**LOCAL, **changes})
    assert ServerOptions.model_validate(
        {**LOCAL, "base_url": "https://gpu.example.org/v1", "allow_remote_host": True}
    )


@pytest.mark.parametrize("key", ["base_url", "model", "dtype"])
def test_a_server_has_no_defaults_for_what_only_its_owner_knows(key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        ServerOptions.model_validate({k: v for k, v in LOCAL.items() if k != key})


def test_a_cluster_elsewhere_needs_permission() -> None:
    for address in ("auto", "10.0.0.1:6379", "ray://gpu.example.org:10001"):
        with pytest.raises(ValidationError, match="allow_remote_host"):
            RayOptions(address=address)
        assert RayOptions(address=address, allow_remote_host=True)
    assert RayOptions(address="127.0.0.1:6379")
    assert RayOptions(address="[::1]:6379")


@pytest.mark.parametrize(
    "choice",
    [
        {"backend": "openai_server"},
        {"server": LOCAL},
        {"backend": "ray", "server": LOCAL},
        {"ray": {}},
        {"backend": "openai_server", "server": LOCAL, "ray": {}},
    ],
)
def test_options_without_their_backend_are_refused(choice: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="backend"):
        EncoderChoice.model_validate({"id": "minilm", **choice})


def test_declarations_and_nothing_else_decide_the_space() -> None:
    local = find_encoder(EncoderChoice(id="minilm"), dtype="float32")
    here = find_encoder(served())
    spaces = {
        find_encoder(served(**changes)).space
        for changes in ({}, {"model": "n"}, {"revision": "1"}, {"dtype": "float16"})
    }
    assert len(spaces | {local.space}) == 5
    moved = {"base_url": "http://127.0.0.1:9000/v1", "concurrency": 2, "retries": 1}
    assert find_encoder(served(**moved)) == here
    assert find_encoder(served(same_space_as_local=True)) == local


def test_a_server_needs_no_weights_here_unless_they_are_said_to_be_the_same(
    tmp_path: Path,
) -> None:
    minilm = find_encoder(EncoderChoice(id="minilm"))
    folder = tmp_path / "model"
    shutil.copytree(minilm.folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))

    def find(**changes: object) -> Encoder:
        choice = served(**changes).model_copy(update={"path": folder})
        return find_encoder(choice)

    assert find().token_limit == minilm.token_limit
    with pytest.raises(MissingModelError, match="safetensors"):
        find(same_space_as_local=True)


def test_a_moved_server_makes_no_cell_stale_but_another_model_does(
    small_study: Study, tmp_path: Path
) -> None:
    def inputs(**changes: object) -> str:
        return cell_inputs(small_study, Lake(tmp_path), small_study.windows[0], served(**changes))

    assert set(ServerOptions.model_fields) > SERVER_TRANSPORT
    assert inputs() == inputs(base_url="http://127.0.0.1:9000/v1", concurrency=2)
    assert len({inputs(), inputs(model="n"), inputs(dtype="float16")}) == 3


def test_the_guide_shows_options_that_are_accepted() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "servers.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", guide, flags=re.DOTALL)
    choices = [
        EncoderChoice.model_validate(choice)
        for block in blocks
        for choice in YAML(typ="safe").load(block)["encoders"]
    ]
    assert {choice.backend for choice in choices} == {"openai_server", "ray"}
    for name, default in re.findall(r"^\| `(\w+)` \| (\w+) \|", guide, flags=re.MULTILINE):
        assert str(ServerOptions.model_fields[name].default).lower().removesuffix(".0") == default
