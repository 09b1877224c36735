"""The stores that are compared, and the Redis that one of them needs."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from rtms_gevent import ConfigurationError
from rtms_gevent.cluster.opening import make_store
from rtms_gevent.config import ClusterSettings

from ..measure import MeasurementFailed

__all__ = ["Place", "RedisServer", "places"]


class RedisServer:
    """A Redis of our own, which writes nothing to disk."""

    def __init__(self, folder: str) -> None:
        """Start it.

        Args:
            folder: Its working directory.

        Raises:
            MeasurementFailed: it does not start.
        """
        import redis  # an extra

        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        self._redis: Any = redis.Redis(port=self.port, decode_responses=True)
        ends = time.monotonic() + 10
        while True:
            try:
                self._redis.ping()
                break
            except redis.ConnectionError as problem:
                if time.monotonic() > ends:
                    self.stop()
                    raise MeasurementFailed(f"redis-server: {problem}") from problem
                time.sleep(0.05)

    def usage(self) -> dict[str, float]:
        """Return what it has done so far (commands in scripts count), and its memory in bytes."""
        said = self._redis.info("everything")
        return {
            "commands": said["total_commands_processed"],
            "scripts": said.get("cmdstat_evalsha", {}).get("calls", 0),
            "cpu": said["used_cpu_user"] + said["used_cpu_sys"],
            "bytes": said["used_memory"],
            "network": said["total_net_input_bytes"] + said["total_net_output_bytes"],
        }

    def stop(self) -> None:
        """End it."""
        self._redis.close()
        self.process.terminate()
        self.process.wait()


@dataclasses.dataclass
class Place:
    """A store, and how many processes share it."""

    kind: str
    processes: int
    lease: float = 8.0  #: seconds that a worker may be silent
    url: str = ""  #: for the workers, while it is opened

    @property
    def title(self) -> str:
        """Name of its rows."""
        return f"{self.kind}, {self.processes} processes" if self.processes > 1 else self.kind

    @property
    def is_redis(self) -> bool:
        """Whether it needs a Redis."""
        return self.kind == "redis"

    @contextlib.contextmanager
    def opened(self) -> Iterator[RedisServer | None]:
        """Make the place, and an empty store in it; yield the Redis, if there is one."""
        with tempfile.TemporaryDirectory(prefix="rtms-", dir="/tmp") as folder:
            if not self.is_redis:
                self.url = "memory" if self.kind == "memory" else f"local://{folder}"
                yield None
                return
            server = RedisServer(folder)
            try:
                self.url = f"redis://127.0.0.1:{server.port}/0"
                yield server
            finally:
                server.stop()


def places(processes: int, lease: float, leave_out: Callable[[str], object]) -> Iterator[Place]:
    """Yield the places that there can be here.

    Args:
        processes: How many share a store, where several can.
        lease: Seconds that a worker may be silent.
        leave_out: Called with what there cannot be, and why.
    """
    for place in (
        Place("memory", 1, lease),
        Place("local", 1, lease),
        Place("local", processes, lease),
        Place("redis", processes, lease),
    ):
        if place.is_redis and shutil.which("redis-server") is None:
            leave_out("redis: redis-server is not installed")
            continue
        try:
            url = {"memory": "memory", "local": "local:///nowhere", "redis": "redis://127.0.0.1/0"}
            store = make_store(ClusterSettings(store=url[place.kind]), has_siblings=True)
        except (ConfigurationError, ImportError) as problem:
            leave_out(f"{place.title}: {problem}")
            continue
        if store.is_shared == (place.kind == "memory"):
            leave_out(f"{place.title}: this version has no such store")
            continue
        yield place
