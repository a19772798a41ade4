"""Project files: where the dbt project, the workspace and the settings of an instance are."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# pyproject.toml puts into this folder of a wheel what a clone has beside the package.
_IN_WHEEL = _PACKAGE / "project"


def project_file(name: str) -> Path:
    """Return the path of a file, named as from the top of a clone, in a clone or in a wheel.

    FileNotFoundError when the installation lacks it.
    """
    path = (_IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent) / name
    if not path.is_file():
        raise FileNotFoundError(
            f"no {path}; install learn_assets from its wheel, or a clone with `pip install -e .`"
        )
    return path
