"""Where the files of the project are, in a clone and in a wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from learn_assets import project_files
from learn_assets.project_files import project_file

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["dbt_like_sql/dbt_project.yml", "workspace.yaml"])
def test_a_clone_has_them_beside_the_package(name: str) -> None:
    assert project_file(name) == ROOT / name


def test_a_wheel_has_them_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_files, "_IN_WHEEL", tmp_path)
    (tmp_path / "workspace.yaml").touch()
    assert project_file("workspace.yaml") == tmp_path / "workspace.yaml"
    with pytest.raises(FileNotFoundError, match="pip install"):
        project_file("dbt_like_sql/dbt_project.yml")
