"""A worker's part in the cluster: what it claims, renews, hands over, and passes on to others."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import random
from collections.abc import Callable, Collection

import gevent
from gevent.event import Event

from ..client import Client
from ..errors import StoreError
from ..protocol.webhook_events import WebhookKind
from ..runtime.deadline import Deadline
from ..runtime.exit import callback_deadline
from ..runtime.fair_scheduling import yield_to_io
from ..runtime.greenlets import GreenletGroup
from ..runtime.hub_context import HubContext
from .host import StreamHost
from .peers import Peers
from .records import Claim, Letter, Worker
from .routing import WebhookRouter
from .store import Store
from .store_access import StoreAccess
from .translation import event_of, with_progress

__all__ = ["Member"]

logger = logging.getLogger(__name__)

#: Seconds between two renewals of all claims.
RENEW_EVERY = 1.0
#: Seconds between two looks for streams whose owner has died.
SWEEP_EVERY = 0.5
#: Renewals between two looks for offers that nobody has claimed.
_EXPIRE_EVERY = 5
#: Seconds for which it counts what is known of the others, where there are streams to claim.
_PEERS_KEPT = 0.2
#: Seconds between two looks whether the workers that start take part.
_SUCCESSOR_POLL = 0.1


class Member:
    """One worker of the cluster, on the hub where it keeps its streams.

    Greenlet-safety: any greenlet of that hub.
    """

    def __init__(
        self,
        host: StreamHost,
        store: Store,
        context: HubContext,
        worker: Worker,
        is_ending: Callable[[], bool],
        siblings: Callable[[], Collection[int]],
    ) -> None:
        """Take no part yet; see :meth:`start`.

        Args:
            host: Keeps the clients.
            store: Says who owns what; it is opened here.
            context: Of the hub; functions of the user run where it lets them.
            worker: Who we are.
            is_ending: Returns whether this process is about to end, and must claim nothing more.
            siblings: See :class:`.Peers`.
        """
        self.live_socket = ""  #: see :class:`.Worker`
        self._host = host
        self._context = context
        self._worker = worker
        self._is_ending = is_ending
        self._claims: dict[str, Claim] = {}
        self._leaving: set[str] = set()  # being handed over, or lost
        self._ended: dict[str, Claim] = {}  # to be released
        self._stopped: set[str] = set()  # Zoom's webhook of the end has come
        self._is_draining = False
        self._draining: gevent.Greenlet[..., object] | None = None
        self._greenlets = GreenletGroup(f"rtms worker {worker.id}")
        self._renewals = 0
        self._renew_now = Event()
        self._claim_now = Event()
        self._is_known = Event()  # to others, as they to us
        self._access = StoreAccess(
            store, lambda: self.worker, self._store_is_back, self._store_is_replaced
        )
        self.ask = self._access.ask
        self._router = WebhookRouter(
            host, context, self.ask, self._claims.__contains__, lambda: self._access.in_touch
        )
        self.route = self._router.route
        self._peers = Peers(worker, siblings)

    # -- what is known -----------------------------------------------------------------------------

    @property
    def missed(self) -> int:
        """How many starts nobody has joined in time, as far as this worker knows."""
        return self._router.missed

    @property
    def worker(self) -> Worker:
        """This worker, as others are to see it."""
        return dataclasses.replace(
            self._worker,
            live_socket=self.live_socket,
            streams=len(self._claims),
            is_draining=self._is_draining or self._is_ending(),
        )

    @property
    def store(self) -> Store:
        """The store; another one where the first was broken."""
        return self._access.store

    @property
    def owned(self) -> list[str]:
        """Ids of the streams that this worker owns."""
        return list(self._claims)

    # -- life --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to take part. Returns at once."""
        self._host.on_gone = self._on_gone
        for step in (self._renew_in_time, self._claim_what_waits, self._read_letters):
            self._greenlets.spawn(step.__name__, self._repeat, step)

    def _repeat(self, step: Callable[[], object]) -> None:
        """Do a step again and again, whatever goes wrong: else others would take all streams."""
        while True:
            try:
                step()
            except StoreError:  # was logged
                gevent.sleep(SWEEP_EVERY)
            except Exception:
                logger.exception("a worker's step failed; it is tried again")
                gevent.sleep(RENEW_EVERY)

    def drain(self) -> None:
        """Hand over all streams, and claim no more. Waits until callbacks have finished.

        Webhooks are still routed, and those that come for streams which ended here are read.
        """
        if self._draining is None:
            self._is_draining = True
            self._draining = self._greenlets.spawn("drain", self._drain)
        self._draining.join()

    def _drain(self) -> None:
        self._renew_now.set()  # others are told at once
        deadline = callback_deadline()
        self._await_successors(Deadline((deadline.left() or 0.0) / 2))
        claims = list(self._claims.values())
        gevent.joinall([gevent.spawn(self._hand_over, claim, deadline) for claim in claims])

    def close(self) -> None:
        """Take part no more: read what has come until now, and give the store up."""
        self._greenlets.stop()
        try:
            self._release_ended()
            for letter in self._access.wait(0).letters:
                self._read(letter)
        except StoreError as problem:
            logger.warning("what this worker had is free when its lease is over: %s", problem)
        self._access.close()

    def _await_successors(self, deadline: Deadline) -> None:
        """Let streams go on until the workers that start can claim them.

        A reload of gunicorn ends the old workers when it has forked the new ones, which have yet to
        import their app. If the first that has done so got all streams, it would keep them.
        """
        while self._claims and deadline.left() and self._peers.are_starting:
            gevent.sleep(_SUCCESSOR_POLL)
            with contextlib.suppress(StoreError):
                self._look_at_peers()

    def _look_at_peers(self) -> None:
        """Learn who else there is.

        Raises:
            StoreError: the store does not answer.
        """
        self._peers.note(self.ask(lambda store: store.workers()))

    def _store_is_back(self) -> None:
        self._claim_now.set()
        self._renew_now.set()

    def _store_is_replaced(self, store: Store) -> None:
        store.renew(self.worker, list(self._claims.values()))

    def abandon(self) -> None:
        """Take part no more, in a forked child: the streams and the store are the parent's."""
        self._is_draining = True
        self._claims.clear()
        self._greenlets.kill()

    # -- letters -----------------------------------------------------------------------------------

    def _read_letters(self) -> None:
        wakeup = self._access.wait(RENEW_EVERY)
        if wakeup.has_offers:
            self._claim_now.set()
        for letter in wakeup.letters:
            self._read(letter)

    def _read(self, letter: Letter) -> None:
        event = event_of(letter.document)
        if event is None:
            return
        is_owned = letter.stream_id in self._claims
        if event.kind is WebhookKind.STARTED and not is_owned:
            # The stream had ended here when Zoom started it again.
            self._greenlets.spawn("route", self.route, event)
            return
        if event.kind is WebhookKind.STOPPED:
            if is_owned or letter.stream_id in self._ended:
                self._stopped.add(letter.stream_id)
            else:  # it was released while the letter was on its way
                self._greenlets.spawn("forget", self._forget, letter.stream_id)
        if event.kind is WebhookKind.STARTED:
            self._stopped.discard(letter.stream_id)
            claim = self._claims[letter.stream_id]
            self._claims[letter.stream_id] = dataclasses.replace(claim, document=letter.document)
        self._router.handle(event)

    def _forget(self, stream_id: str) -> None:
        with contextlib.suppress(StoreError):  # then it is forgotten when its time has come
            self.ask(functools.partial(_forget, stream_id))

    # -- claims ------------------------------------------------------------------------------------

    def _claim_what_waits(self) -> None:
        self._is_known.wait()
        is_likely = self._claim_now.wait(SWEEP_EVERY * self._peers.share * _jitter(0.7, 1.3))
        self._claim_now.clear()
        while self._may_claim:
            if is_likely and self._peers.age > _PEERS_KEPT:
                self._look_at_peers()
            gevent.sleep(self._peers.claim_delay(len(self._claims)))
            claim = self.ask(self._claim) if self._may_claim else None
            if claim is None:
                break
            if self.worker.is_draining:  # since a moment: what it has is being handed over
                self.ask(functools.partial(_give_back, claim))
                break
            self._begin(claim)
            is_likely = True

    def _claim(self, store: Store) -> Claim | None:
        return store.claim(may_expire=self._access.in_touch > store.lease)

    @property
    def _may_claim(self) -> bool:
        return self._host.wants_streams and not self.worker.is_draining and not self.worker.is_full

    def _begin(self, claim: Claim) -> None:
        """Let a stream that was claimed live here."""
        self._claims[claim.stream_id] = claim
        event = event_of(claim.document, claim)
        if event is None or event.kind is not WebhookKind.STARTED:
            logger.error("stream %.80r cannot be joined: its start is malformed", claim.stream_id)
            self._on_gone(claim.stream_id)
        elif claim.is_takeover:
            logger.warning("stream %.80r is taken over from another worker", claim.stream_id)
            self._context.spawn(self._host.take_over, event)
        else:
            logger.info("stream %.80r is claimed", claim.stream_id)
            self._router.handle(event)

    def _on_gone(self, stream_id: str) -> None:
        """Note that a stream lives here no more; from any thread."""
        if gevent.get_hub() is self._context.hub:
            self._gone(stream_id)  # at once: what has ended must not be handed over
        else:
            self._context.submit(lambda: self._gone(stream_id))

    def _gone(self, stream_id: str) -> None:
        if stream_id in self._leaving:
            return
        claim = self._claims.pop(stream_id, None)
        if claim is not None:
            self._ended[stream_id] = claim
            self._renew_now.set()

    def _release_ended(self) -> None:
        """Release what has ended; what the store does not take now is tried again.

        Raises:
            StoreError: the store does not answer.
        """
        for stream_id, claim in list(self._ended.items()):
            self.ask(functools.partial(_release_ended, claim))
            if stream_id in self._stopped:
                # Nothing more will come for it, so that nobody needs to know who had it.
                self.ask(functools.partial(_forget, stream_id))
                self._stopped.discard(stream_id)
            if self._ended.get(stream_id) is claim:
                del self._ended[stream_id]

    # -- renewals ----------------------------------------------------------------------------------

    def _renew_in_time(self) -> None:
        self._renew()
        if self._renewals % _EXPIRE_EVERY == 0:
            self._tell_expired()
        self._renewals += 1
        if self._is_ending() and self._draining is None:
            # Not only at the exit: gunicorn may wait for requests until it kills this worker.
            self._greenlets.spawn("end", self.drain)
        self._renew_now.wait(RENEW_EVERY * _jitter(0.9, 1.1))
        self._renew_now.clear()

    def _renew(self) -> None:
        self._release_ended()
        claims, clients = [], self._host.clients
        for claim in list(self._claims.values()):
            claims.append(with_progress(claim, clients.get(claim.stream_id)))
            yield_to_io()  # a hundred streams take some milliseconds
        # What has ended or was handed over meanwhile must not be noted anew.
        current = [claim for claim in claims if self._has(claim)]
        lost = self.ask(lambda store: store.renew(self.worker, current))
        for claim in current:
            if claim.stream_id in lost and claim.stream_id not in self._leaving:
                self._greenlets.spawn("lost", self._lose, claim)
        self._look_at_peers()
        self._is_known.set()

    def _has(self, claim: Claim) -> bool:
        ours = self._claims.get(claim.stream_id)
        return ours is not None and ours.fence == claim.fence

    def _tell_expired(self) -> None:
        for row in self.ask(lambda store: store.take_expired()):
            event = event_of(row.document)
            if event is not None:
                self._router.miss(event, f"it waited for a worker for {row.age:.0f} s")

    # -- giving up ---------------------------------------------------------------------------------

    def _lose(self, claim: Claim) -> None:
        """Leave a stream that another worker has taken over."""
        logger.error(
            "stream %.80r was taken over by another worker, since this one was not heard of for "
            "too long: it leaves the stream",
            claim.stream_id,
        )
        self._leaving.add(claim.stream_id)
        try:
            client = self._host.clients.get(claim.stream_id)
            if client is not None:
                client.taken_over()
        finally:
            self._leaving.discard(claim.stream_id)
            if self._has(claim):
                del self._claims[claim.stream_id]
                self._stopped.discard(claim.stream_id)

    def _hand_over(self, claim: Claim, deadline: Deadline) -> None:
        """Leave a stream once all was delivered, and let another worker claim it."""
        # The app may be about to join it: then it would do so when another worker has it.
        while (client := self._client_of(claim)) is None and self._has(claim):
            if not self._host.wants_streams or not deadline.left():
                break
            gevent.sleep(_SUCCESSOR_POLL)
        if not self._has(claim):
            return  # it has ended meanwhile
        self._leaving.add(claim.stream_id)
        goes_on = client is None or client.hand_over(deadline.left())
        claim = with_progress(claim, client)
        del self._claims[claim.stream_id]
        try:
            if not goes_on or claim.stream_id in self._stopped:
                self._ended[claim.stream_id] = claim
                self._release_ended()
                return
            self.ask(functools.partial(_give_back, claim))
        except StoreError as problem:
            logger.warning(
                "stream %.80r is free for others when the lease is over: %s",
                claim.stream_id,
                problem,
            )
        else:
            logger.info("stream %.80r is handed over", claim.stream_id)

    def _client_of(self, claim: Claim) -> Client | None:
        """Return the client of a stream once it joins."""
        client = self._host.clients.get(claim.stream_id)
        return client if client is not None and client.stream_id() else None


def _release_ended(claim: Claim, store: Store) -> None:
    store.release(claim, has_ended=True)


def _give_back(claim: Claim, store: Store) -> None:
    store.release(claim, has_ended=False)


def _forget(stream_id: str, store: Store) -> None:
    store.send(stream_id, {}, ends=True)


def _jitter(low: float, high: float) -> float:
    """Return anything between: what many workers do must not come at the same time."""
    return random.uniform(low, high)  # noqa: S311 - no secret
