"""Ray session: a cluster that is started on this machine, for this process alone, or joined."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from learn_assets.study.backends import RayOptions, host_of, is_loopback

_OBJECT_STORE_BYTES = 512 << 20
_CONNECT_SECONDS = 10.0
# No usage reports, and no cluster that starts by itself at a call after the end.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_AUTO_CONNECT": "0"}
# Named after the systems where it is the default: nodes talk over the loopback address.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


class RayClusterError(RuntimeError):
    """The cluster cannot be used or gave up; says the remedy, never a text."""


class RaySession:
    """This process's connection to Ray. One at a time, as Ray itself allows no more.

    A cluster started here listens on the loopback address, asks for a secret that only this process
    and its children know, has no dashboard, sends no usage reports and keeps its files in a private
    folder that is removed at the end.
    """

    def __init__(self, options: RayOptions) -> None:
        """Start or join a cluster.

        RayClusterError when Ray is not installed, in use in this process, not to be reached, or
        would listen on the network.
        """
        if importlib.util.find_spec("ray") is None:
            raise RayClusterError("backend `ray` needs Ray: pip install 'learn-assets[ray]'")
        os.environ.update(_QUIET)
        if options.address is None:
            _keep_a_secret()
        if options.address is None or is_loopback(host_of(options.address)):
            os.environ.update(_LOOPBACK)
        import ray

        if ray.is_initialized():
            raise RayClusterError("this process already uses a Ray cluster; ray.shutdown() first")
        self._ray: Any = ray
        self._options = options
        self._actors: list[Any] = []
        self._folder: Path | None = None
        if options.address is None:
            self._start()
        else:
            self._join(options.address)

    def actor(self, kind: type, *arguments: object) -> Any:
        """Return a handle of a new actor of a class; it starts when the cluster has room."""
        # Replacing actors is the pool's task: it knows which batch was lost.
        wrap: Any = self._ray.remote(
            num_cpus=self._options.cpus_per_actor,
            num_gpus=self._options.gpus_per_actor,
            max_restarts=0,
            max_task_retries=0,
        )
        actor = wrap(kind).remote(*arguments)
        self._actors.append(actor)
        return actor

    def kill(self, actor: Any) -> None:
        """End an actor, whether it still lives or not."""
        self._actors = [other for other in self._actors if other is not actor]
        self._ray.kill(actor)

    def room(self) -> str:
        """Say how much the cluster offers, for an error's remedy."""
        resources = self._ray.cluster_resources()
        cpus, gpus = (resources.get(name, 0) for name in ("CPU", "GPU"))
        return f"the cluster offers {cpus:g} CPUs and {gpus:g} GPUs"

    def close(self) -> None:
        """End our actors and the connection; a cluster started here ends with it."""
        if self._ray.is_initialized():
            for actor in tuple(self._actors):
                self.kill(actor)
            self._ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        # Ray opens its own folder to everybody, so it gets one inside a folder that is closed.
        self._folder = Path(tempfile.mkdtemp(prefix="ray-"))
        cpus = max(1, math.ceil(self._options.actors * self._options.cpus_per_actor))
        self._ray.init(
            # Without a word, Ray would join whatever cluster it finds.
            address="local",
            num_cpus=cpus,
            num_gpus=None if self._options.gpus_per_actor else 0,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            _temp_dir=str(self._folder / "r"),
        )
        host = self._ray.util.get_node_ip_address()
        if not is_loopback(host):
            self.close()
            raise RayClusterError(
                "Ray listens on the network of this machine, because it was imported before this "
                "backend; export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 before the process starts"
            )

    def _join(self, address: str) -> None:
        problem = "" if _answers(address) else "no connection"
        try:
            if not problem:
                self._ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, RuntimeError, ValueError) as error:
            problem = type(error).__name__
        if problem:
            raise RayClusterError(
                f"no Ray cluster at {address} ({problem}); start one there, correct `address`, or "
                "leave `address` out to start one here"
            )


def _keep_a_secret() -> None:
    # A token of our own: Ray would write one into the home folder.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _answers(address: str) -> bool:
    """Say whether something listens at an address; Ray itself would take minutes to say so."""
    parts = urlsplit(f"//{address.rpartition('//')[2]}")
    if parts.hostname is None or parts.port is None:
        return True
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
