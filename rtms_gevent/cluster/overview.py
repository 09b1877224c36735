"""The streams of all workers, as users see them."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Iterable, Mapping

from ..client import Client
from ..enums import Product
from ..errors import WebhookError
from ..protocol.webhook_events import parse_event
from ..runtime.hub_context import all_clients
from .cluster import Cluster, all_clusters
from .records import StreamRow, Worker

__all__ = ["StreamInfo", "describe", "streams", "streams_of"]


@dataclasses.dataclass(frozen=True, slots=True)
class StreamInfo:
    """One stream, and who has it."""

    stream_id: str
    uuid: str  #: of the meeting, webinar, session, engagement or call
    product: Product | None
    #: "waiting" for a worker, "joining", "joined", "lost" (its worker is not heard of, and no other
    #: one has taken over yet), or "ended".
    state: str
    #: Id of the worker that owns it, or had it at its end; ``None`` where it waits for one, and
    #: where nothing is shared with other workers.
    owner: str | None
    host: str | None  #: where that worker runs; ``None`` where it is not known any more
    pid: int | None  #: its process; ``None`` where it is not known any more
    #: How many workers have claimed it so far, the same one twice included.
    fence: int
    #: Seconds since it was offered or claimed, or has ended; 0 where nobody counts.
    age: float
    received: int  #: packets, of all media types, that its present owner got
    gaps: int  #: how many its present owner has told
    missing_ms: int  #: how long these are together
    outages: int  #: how often its present owner lost a connection, and got it back


def streams() -> list[StreamInfo]:
    """Return the streams of all workers that share streams with this process, and its own.

    What other workers have is about a second old. Where nothing is shared, these are the streams of
    this process. May be called from any thread; it may wait for the store, cooperatively.

    Raises:
        StoreError: the store that the workers share does not answer.
    """
    clients = [client for client in all_clients() if isinstance(client, Client)]
    return streams_of(all_clusters(), clients)


def streams_of(clusters: Iterable[Cluster], clients: Iterable[Client]) -> list[StreamInfo]:
    """Return the streams of some clusters, and of the clients that these do not know.

    Raises:
        StoreError: a store does not answer.
    """
    found: dict[str, StreamInfo] = {}
    for cluster in clusters:
        workers = {worker.id: worker for worker in cluster.workers()}
        for row in cluster.streams():
            found[row.stream_id] = describe(row, workers)
    for client in clients:
        if client.stream_id() and client.stream_id() not in found:
            found[client.stream_id()] = _describe_client(client)
    return list(found.values())


def describe(row: StreamRow, workers: Mapping[str, Worker]) -> StreamInfo:
    """Return what a store knows of a stream.

    Args:
        row: What the store has.
        workers: Those that live, by id.
    """
    worker = workers.get(row.owner or "")
    state = "joined" if row.progress.is_joined else "joining"
    if row.has_ended:
        state = "ended"
    elif row.owner is None:
        state = "waiting"
    elif worker is None:
        state = "lost"
    uuid, product = _meeting_of(row)
    return StreamInfo(
        row.stream_id,
        uuid,
        product,
        state,
        owner=row.owner,
        host=None if worker is None else worker.host,
        pid=None if worker is None else worker.pid,
        fence=row.fence,
        age=row.age,
        received=row.progress.received,
        gaps=row.progress.gaps,
        missing_ms=row.progress.missing_ms,
        outages=row.progress.outages,
    )


def _meeting_of(row: StreamRow) -> tuple[str, Product | None]:
    try:
        event = parse_event(row.document)
    except WebhookError:  # noted by a renewal, after the store had lost it
        return "", None
    return event.uuid or "", event.product


def _describe_client(client: Client) -> StreamInfo:
    stats = client.stats()
    media = stats.media.values()
    return StreamInfo(
        client.stream_id(),
        client.uuid(),
        client.product,
        "joined" if stats.is_joined else "joining",
        owner=None,
        host=socket.gethostname(),
        pid=os.getpid(),
        fence=0,
        age=0.0,
        received=sum(one.received for one in media),
        gaps=sum(len(one.gaps) for one in media),
        missing_ms=sum(one.missing_ms for one in media),
        outages=stats.outages,
    )
