"""NVML: a program that prints the GPUs of this machine as JSON.

It runs in a process of its own, because a driver that is stuck hangs whoever asks it. Nothing but
the standard library and nvidia-ml-py is imported.
"""

from __future__ import annotations

import json
import sys

import pynvml


def main() -> int:
    """Print index, name, uuid, total and free bytes of each GPU; 1 when NVML cannot be asked."""
    try:
        pynvml.nvmlInit()
        gpus = [_described(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}")
        return 1
    json.dump(gpus, sys.stdout)
    return 0


def _described(index: int) -> dict[str, str | int]:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return {
        "index": index,
        "name": _text(pynvml.nvmlDeviceGetName(handle)),
        "uuid": _text(pynvml.nvmlDeviceGetUUID(handle)),
        "total_bytes": int(memory.total),
        "free_bytes": int(memory.free),
    }


def _text(value: str | bytes) -> str:
    # Older releases of the library return bytes.
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    sys.exit(main())
