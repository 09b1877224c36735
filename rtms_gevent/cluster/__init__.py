"""One owner per stream, however many workers there are: stores of ownership, and who routes."""

from __future__ import annotations

from ..config import ClusterSettings
from .cluster import Cluster, all_clusters
from .host import StreamHost
from .records import Claim, Letter, Progress, StreamRow, Wakeup, Worker
from .store import Store

__all__ = [
    "Claim",
    "Cluster",
    "ClusterSettings",
    "Letter",
    "Progress",
    "Store",
    "StreamHost",
    "StreamRow",
    "Wakeup",
    "Worker",
    "all_clusters",
]
