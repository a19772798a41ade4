"""Adding an analysis touches its folder alone, and what `dg scaffold` writes is found.

Both are tried in a copy of the package, in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from learn_assets.discovery import PACKAGE

pytestmark = pytest.mark.slow

ROOT = PACKAGE.parent
ANALYSIS = {
    "__init__.py": '"""Sizes: how many patients each cell has."""\n',
    "contract.py": """
import pandera.polars as pa
import polars as pl
from learn_assets.schemas.declared import SENSITIVITY, Declared
from learn_assets.schemas.records import Table

class Sizes(Table):
    '''Patients of a cell.'''

    patients: pl.Int64 = pa.Field(ge=0, description="Patients.")

TABLES = {"sizes": Declared(SENSITIVITY, Sizes, in_report=True)}
""",
    "computation.py": """
def sizes(cross_validation):
    return cross_validation.select(patients=cross_validation["patient_id"].n_unique())
""",
    "asset.py": """
from learn_assets import provenance
from learn_assets.analyses.sizes.computation import sizes
from learn_assets.defs.cell_tables import written
from learn_assets.defs.resources import LakeResource
from learn_assets.defs.stages import cell_asset, cell_step

def assets(study):
    @cell_asset(study, "sizes", ["cross_validation"], "Patients of the cell.")
    def made(context, lake: LakeResource):
        with cell_step(context, study, lake, provenance.sensitivity_inputs) as step:
            judged = step.lake.read("cross_validation", step.window, step.encoder.id)
            return written(study, step, "sizes", sizes(judged))
    return [made]
""",
    "section.py": """
from learn_assets.reporting.context import not_made
from learn_assets.reporting.places import CellSection

def shown(cell):
    return cell.without("sizes", "Sizes", not_made("sizes"))

SECTION = CellSection(25, shown)
""",
}
SCAFFOLDED = {
    # As `dg scaffold defs dagster.asset tally.py` writes it.
    "tally.py": """
import dagster as dg


@dg.asset
def tally(context: dg.AssetExecutionContext) -> dg.MaterializeResult: ...
""",
    # As `dg scaffold defs dagster.PythonScriptComponent nightly` writes it, with a script.
    "nightly/defs.yaml": """
type: dagster.PythonScriptComponent

attributes:
  execution:
    path: script.py
  assets:
    - key: of_a_component
""",
    "nightly/script.py": "print('done')\n",
}
LOOK = """
import json, sys
from pathlib import Path
from learn_assets.code_closure import PACKAGE, files_behind
from learn_assets.definitions import build_definitions
from learn_assets.lake import Lake
from learn_assets.provenance import SENSITIVITY_CODE
from learn_assets.reporting.report import build_report
from learn_assets.reporting.sections.provenance import REPORT_CODE
from learn_assets.schemas.registry import TABLES, empty_frame, made_in
from learn_assets.study.file import load_study

def names(files):
    return sorted(str(file.relative_to(PACKAGE)) for file in files)

study = load_study(sys.argv[1])
found = build_definitions(study)
graph = found.resolve_asset_graph()
seen = {"assets": sorted(key.to_user_string() for key in graph.get_all_asset_keys())}
if sys.argv[1] == "demo":
    job = found.resolve_job_def("sensitivity").asset_layer
    report = next(key for key in graph.get_all_asset_keys() if key.path == ["study_report"])
    seen |= {
        "columns": empty_frame("sizes").columns,
        "stage": made_in("sensitivity"),
        "job": [key.to_user_string() for key in job.executable_asset_keys],
        "checks": [
            key.asset_key.to_user_string() for key in graph.asset_check_keys
            if key.name == "contract"
        ],
        "report_waits_for": [key.to_user_string() for key in graph.get(report).parent_keys],
        "sections": [s.title for s in build_report(study, Lake(Path("empty"))).walk()],
        "stage_code": names(files_behind(*SENSITIVITY_CODE)),
        "report_code": names(files_behind(*REPORT_CODE, shown=True)),
    }
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with one more analysis and what `dg scaffold` writes."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for beside in ("dbt_like_sql", "deploy", "workspace.yaml"):
        (folder / beside).symlink_to(ROOT / beside)
    _write(folder / PACKAGE.name / "analyses" / "sizes", ANALYSIS)
    _write(folder / PACKAGE.name / "defs", SCAFFOLDED)
    return folder


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def _look(clone: Path, study: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-c", LOOK, study],
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(clone), "LEARN_HOME": str(clone / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    seen: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return seen


def test_a_folder_reaches_registry_graph_checks_job_report_and_fingerprints(clone: Path) -> None:
    seen = _look(clone, "demo")
    assert seen["columns"] == ["patients"]
    for place in ("assets", "stage", "job", "checks", "report_waits_for"):
        assert "sizes" in seen[place], place
    titles = seen["sections"]
    assert titles.index("Net benefit") + 1 == titles.index("Sizes")
    assert {"analyses/sizes/computation.py", "analyses/sizes/contract.py"} <= {*seen["stage_code"]}
    assert "analyses/sizes/section.py" not in seen["stage_code"]
    assert "analyses/sizes/section.py" in seen["report_code"]


@pytest.mark.parametrize("study", ["demo", "subtypes_demo"])
def test_what_dg_scaffold_writes_is_found(clone: Path, study: str) -> None:
    assert {"tally", "of_a_component"} <= {*_look(clone, study)["assets"]}
