"""A cluster without a web framework, in a store that says that it is shared, though nobody does."""

from __future__ import annotations

import os
import sys
import time

from gevent import monkey

from rtms_gevent.cluster.cluster import Cluster
from rtms_gevent.cluster.memory import MemoryCluster, MemoryStore
from rtms_gevent.runtime.exit import callback_deadline
from rtms_gevent.webhook.stream_manager import StreamHandlers, StreamManager


class StuckCluster(Cluster):
    """One whose streams have callbacks that never return."""

    def drain(self):
        time.sleep(3600)


def make_cluster(kind=Cluster):
    """Return one; a factory with an argument."""
    handlers = StreamHandlers()
    handlers.on_stream_started(lambda client, event: None)
    return kind(StreamManager(handlers), store=MemoryStore(MemoryCluster()))


kind = StuckCluster if os.environ.get("STUCK") else Cluster
cluster = make_cluster(kind)

sys.stderr.write(f"patched: {monkey.is_module_patched('socket')}\n")
sys.stderr.write(f"functions get {callback_deadline().seconds:g} s\n")
if os.path.exists("broken"):
    raise RuntimeError("this app is broken")
