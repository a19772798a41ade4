"""Private process: nothing is sent out of this machine, and files are for their owner alone."""

from __future__ import annotations

import os

# Defaults: what an administrator has set stays. Some libraries read these at import only.
_ENVIRONMENT = {
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
_OWNER_ONLY = 0o077


def keep_private() -> None:
    """Switch telemetry and downloads off, and deny others every file this process makes."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.umask(_OWNER_ONLY)
