"""``Cluster``: lets the workers of an app share streams, each of which one worker owns.

::

    cluster = Cluster(manager, ClusterSettings.from_environment())
    receiver = WebhookReceiver(settings, cluster.handle_event, shared_store=cluster.deliveries)

The Flask extension does this by itself.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
import weakref

from gevent import monkey

from ..config import ClusterSettings
from ..errors import NotJoinedError, StoreError
from ..loop import streams_context
from ..protocol.webhook_events import WebhookEvent, WebhookKind
from ..runtime.exit import leave_at_exit
from ..runtime.fork import forget_in_child
from ..runtime.gunicorn import current_worker
from ..runtime.hub_context import HubContext
from .host import StreamHost
from .member import Member
from .opening import make_store
from .records import StreamRow, Worker
from .startup import is_arbiter, take_part_in_workers
from .store import Store

__all__ = ["Cluster", "all_clusters"]

logger = logging.getLogger(__name__)

#: Native, also where threading is patched: threads with hubs of their own meet here.
allocate_lock = monkey.get_original("_thread", "allocate_lock")

#: What goes to the owner of a stream.
_ROUTED = (WebhookKind.STARTED, WebhookKind.STOPPED, WebhookKind.INTERRUPTED)

_all: weakref.WeakSet[Cluster] = weakref.WeakSet()


def all_clusters() -> list[Cluster]:
    """Return the clusters that this process knows, whether or not it takes part in them."""
    return list(_all)


class Cluster:
    """One app's workers, as one of them sees them.

    A process takes part from :meth:`start` on: where gunicorn has made it a worker, else with the
    first webhook that it receives. Where it is alone nothing is stored, and nothing costs anything.

    Safe from any thread.
    """

    def __init__(
        self,
        host: StreamHost,
        settings: ClusterSettings | None = None,
        *,
        store: Store | None = None,
    ) -> None:
        """Take no part yet.

        Args:
            host: Keeps the clients of this process, such as a :class:`.StreamManager`.
            settings: Which store, and how many streams; by default from the environment.
            store: The store itself, instead of the one that the settings name.

        Raises:
            ConfigurationError: the store's address is not usable.
            MissingExtra: the store needs a package that is not installed.
        """
        self.settings = settings or ClusterSettings.from_environment()
        self._host = host
        #: Whether the server says that it has several processes (``wsgi.multiprocess``, PEP 3333),
        #: for the store ``auto``. gunicorn's workers are found without that.
        self.has_siblings = False
        self._given_store = store
        # Here a mistake shows at once. In the arbiter nothing is patched yet: redis-py comes later.
        if store is None and not is_arbiter():
            make_store(self.settings, has_siblings=False)
        self._lock = allocate_lock()
        self._context: HubContext | None = None  # from start() on
        self._member: Member | None = None  # where the store is shared, or streams are limited
        self.deliveries = _Deliveries(self)
        _all.add(self)
        take_part_in_workers(self)

    def __repr__(self) -> str:
        return f"<Cluster {self.settings.namespace!r}>"

    # -- taking part -------------------------------------------------------------------------------

    def start(self) -> None:
        """Take part: claim streams, say that we live. Does nothing the second time.

        The thread decides where the streams live, as for :func:`rtms_gevent.run_soon`.
        """
        with self._lock:
            if self._context is not None:
                return
            store = self._given_store or make_store(
                self.settings, has_siblings=self.has_siblings or _has_siblings()
            )
            self._context = context = streams_context()
            if store.is_shared or self.settings.max_streams is not None:
                self._member = self._make_member(store, context)
        member = self._member
        if member is not None:
            context.before_leaving(member.drain)
            context.at_end(self._close)
            leave_at_exit()  # also where nothing was joined
            context.submit(self._begin)

    def _make_member(self, store: Store, context: HubContext) -> Member:
        worker = Worker(
            id=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
            host=socket.gethostname(),
            pid=os.getpid(),
            started=time.time(),
            max_streams=self.settings.max_streams,
        )
        return Member(self._host, store, context, worker, _is_ending, _siblings)

    def _begin(self) -> None:
        """Begin to claim; on the hub of the streams."""
        member = self._member
        if member is not None:  # else it has ended already
            forget_in_child(self)
            member.start()
            logger.info("worker %s shares streams by %s", member.worker.id, member.store.name)

    def drain(self) -> None:
        """Hand over all streams, and take part no more; waits until callbacks have finished.

        Called by itself when the process or its loop ends.
        """
        context, member = self._context, self._member
        if context is not None and member is not None:
            context.call(member.drain)
            context.call(self._close)

    def _close(self) -> None:
        member, self._member = self._member, None
        if member is not None:
            member.close()

    def after_fork_in_child(self, is_here: bool) -> None:
        """Take no part in a forked child: the streams are the parent's."""
        self._lock = allocate_lock()
        member, self._member, self._context = self._member, None, None
        if member is not None and is_here:
            member.abandon()

    # -- webhooks ----------------------------------------------------------------------------------

    def handle_event(self, event: WebhookEvent) -> None:
        """Act on a webhook that was accepted, in whichever worker its stream lives.

        To be given to :class:`.WebhookReceiver`. Returns when it is known who acts on it.
        """
        self.start()
        context, member = self._context, self._member
        if member is None or context is None or event.kind not in _ROUTED:
            self._host.handle_event(event)
        else:
            context.call(member.route, event)

    # -- what is known -----------------------------------------------------------------------------

    @property
    def worker(self) -> Worker | None:
        """This worker; ``None`` where it is alone, or takes no part yet."""
        member = self._member
        return None if member is None else member.worker

    @property
    def live_socket(self) -> str:
        """Where other workers of this machine see what this one's live page sees; "" for nowhere.

        To be set on the hub of the streams; the others know within a second.
        """
        member = self._member
        return "" if member is None else member.live_socket

    @live_socket.setter
    def live_socket(self, path: str) -> None:
        if self._member is not None:
            self._member.live_socket = path

    @property
    def store(self) -> Store | None:
        """The store; ``None`` where this process is alone, or takes no part yet."""
        member = self._member
        return None if member is None else member.store

    @property
    def missed(self) -> int:
        """How many starts nobody has joined in time, as far as this worker knows."""
        member = self._member
        return 0 if member is None else member.missed

    def streams(self) -> list[StreamRow]:
        """Return the streams of all workers; none where this one is alone.

        Raises:
            StoreError: the store does not answer.
        """
        context, member = self._context, self._member
        if context is None or member is None:
            return []
        return context.call(member.ask, lambda store: store.streams())

    def workers(self) -> list[Worker]:
        """Return the workers that live; none where this one is alone.

        Raises:
            StoreError: the store does not answer.
        """
        context, member = self._context, self._member
        if context is None or member is None:
            return []
        return context.call(member.ask, lambda store: store.workers())


class _Deliveries:
    """The deliveries that all workers know; a DeliveryStore. May wait, and never raises."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = weakref.ref(cluster)

    def add(self, key: str, now: float) -> bool:
        """Add a delivery, and return whether it is new; True where the store does not answer.

        Twice is better than never, and a start that is offered twice is joined once.
        """
        cluster = self._cluster()
        if cluster is None:
            return True
        cluster.start()
        context, member = cluster._context, cluster._member
        if context is None or member is None:
            return True
        try:
            is_new: bool = context.call(member.ask, lambda store: store.add(key, now))
        except (StoreError, NotJoinedError) as problem:
            logger.warning("whether a webhook is a repetition cannot be known: %s", problem)
            return True
        return is_new

    def discard(self, key: str) -> None:
        """Remove a delivery, as if it was not received."""
        cluster = self._cluster()
        context = None if cluster is None else cluster._context
        member = None if cluster is None else cluster._member
        if context is not None and member is not None:
            try:
                context.call(member.ask, lambda store: store.discard(key))
            except (StoreError, NotJoinedError) as problem:
                logger.warning("a webhook cannot be taken as not received: %s", problem)


def _has_siblings() -> bool:
    worker = current_worker()
    return worker is not None and worker.workers > 1


def _is_ending() -> bool:
    worker = current_worker()
    return worker is not None and worker.is_ending


def _siblings() -> set[int]:
    worker = current_worker()
    return set() if worker is None else worker.siblings
