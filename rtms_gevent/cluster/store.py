"""The interface of stores: where workers note who owns which stream.

A stream is *offered* by whichever worker gets the webhook of its start, *claimed* by one worker,
which *renews* the claim until it *releases* it. Each method is one atomic step, whatever other
workers do at the same time. :mod:`.memory` is the shortest store to read.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Collection, Mapping
from typing import Any

from .records import Claim, StreamRow, Wakeup, Worker

__all__ = ["DELIVERIES_KEPT", "ENDED_KEPT", "OFFERS_KEPT", "Store"]

#: Seconds that an offered stream waits for a worker: so long does Zoom hold it.
OFFERS_KEPT = 60.0
#: Seconds that the owner of a stream that has ended is remembered, for Zoom's webhook of the end.
ENDED_KEPT = 120.0
#: Seconds that deliveries are remembered: Zoom's last retry comes about 90 minutes after the event.
DELIVERIES_KEPT = 2 * 60 * 60.0


class Store(abc.ABC):
    """One worker's access to what all workers share.

    Greenlet-safety: all methods may be called by any greenlet of one hub, also at the same time.
    They may wait, but cooperatively: none blocks the hub. Each raises
    :class:`~rtms_gevent.StoreError` where the store cannot be reached or does not work; then
    nothing is known of whether the step was made, and making it again does no harm.
    """

    #: Seconds without a renewal after which another worker may take a stream over.
    lease: float
    #: How users know the store, without a password.
    name: str
    #: Whether other processes may see what is noted here.
    is_shared = True
    #: Whether a worker had better go on alone than wait, where the store will not work again.
    may_fall_back = False

    # -- workers -----------------------------------------------------------------------------------

    @abc.abstractmethod
    def open(self, worker: Worker) -> None:
        """Make a worker known. To be called once, before it offers or claims."""

    @abc.abstractmethod
    def close(self) -> None:
        """Forget the worker, and give up all files and sockets. Never raises.

        What it still owns is offered: others can claim it at once.
        """

    @abc.abstractmethod
    def workers(self) -> list[Worker]:
        """Return the workers that live, this one included; the oldest first."""

    # -- streams -----------------------------------------------------------------------------------

    @abc.abstractmethod
    def offer(self, stream_id: str, document: Mapping[str, Any]) -> bool:
        """Note a start: return whether the stream waits for a worker now.

        A stream that is not known, or that has ended, is offered: all workers wake. One that waits
        already gets this document instead of its own, and waits anew. One that is owned gets it,
        too, and the start is sent to its owner as a letter.

        Args:
            stream_id: Id of the stream.
            document: The webhook, without anything secret.
        """

    @abc.abstractmethod
    def send(self, stream_id: str, document: Mapping[str, Any], *, ends: bool = False) -> bool:
        """Send a webhook to the owner of a stream; return whether it has one, or waits for one.

        Where it waits, the next owner gets the letter. A stream that has ended has the owner that
        it had, as long as that one lives. Letters of one stream stay in their order.

        Args:
            stream_id: Id of the stream.
            document: The webhook, without anything secret.
            ends: Whether the stream is over: one that waits is forgotten (and the answer is False);
                one that has ended is forgotten when its owner got the letter.
        """

    @abc.abstractmethod
    def claim(self, *, may_expire: bool) -> Claim | None:
        """Claim one stream that waits, or whose owner has died; ``None`` where there is none.

        Those that wait come first, and of these the one that waits longest. Offers older than
        60 s are not claimed.

        Args:
            may_expire: Whether streams may be claimed, too, whose owner was not heard of for longer
                than :attr:`lease`, though it may live. Only for workers that have been in touch
                with the store themselves all that time.
        """

    @abc.abstractmethod
    def renew(self, worker: Worker, claims: Collection[Claim]) -> Collection[str]:
        """Say that this worker lives, and how far it got; to be called about once a second.

        A stream that the store has forgotten (it was restarted) is noted anew, unless another
        worker has it. Where its start was offered meanwhile, with a fence that is lower, that is a
        letter to the owner.

        Args:
            worker: As it is now.
            claims: All streams that it owns, with their progress.

        Returns:
            The streams among them that it has lost to another worker; nothing was written for them.
        """

    @abc.abstractmethod
    def release(self, claim: Claim, *, has_ended: bool) -> bool:
        """Give a claim up.

        Args:
            claim: The claim, with the last progress.
            has_ended: Whether the stream is over. If not, it is offered again: all workers wake.

        Returns:
            Whether it was ours; False changes nothing.
        """

    @abc.abstractmethod
    def take_expired(self) -> list[StreamRow]:
        """Forget, and return, the offers that nobody has claimed in time: each to one worker.

        What has ended long ago is forgotten with them, without being returned. Streams whose owner
        has died, and that nobody has claimed, wait from now on as offers do. Letters to streams
        that have ended, whose owner is gone, come to this worker.
        """

    @abc.abstractmethod
    def streams(self) -> list[StreamRow]:
        """Return all streams that are known, those included that have ended; the oldest first."""

    # -- news --------------------------------------------------------------------------------------

    @abc.abstractmethod
    def wait(self, timeout: float) -> Wakeup:
        """Wait for letters to streams of this worker, or for offers. For one greenlet only.

        Letters are taken out of the store. Those to a stream that was claimed lately come, too.

        Args:
            timeout: Seconds; then an empty :class:`.Wakeup` is returned.
        """

    @abc.abstractmethod
    def wake(self) -> None:
        """Let :meth:`wait` return soon, with an empty answer. Never waits, never raises."""

    # -- deliveries of webhooks: a DeliveryStore ---------------------------------------------------

    @abc.abstractmethod
    def add(self, key: str, now: float) -> bool:
        """Add a delivery, and return whether it is new; see :class:`.DeliveryStore`."""

    @abc.abstractmethod
    def discard(self, key: str) -> None:
        """Remove a delivery, as if it was not received; one that is not there is no error."""

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self.close()
