"""``Client``: joins one RTMS stream, leaves it, and knows what it has done so far."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

from .callbacks import CallbackRegistration
from .config import Inboxes, Limits, Proxies, Reconnect, Timeouts, ca_file
from .delivery.callbacks import MEDIA_NAMES
from .delivery.dispatcher import Dispatcher
from .delivery.invoker import report_end
from .delivery.overflow import BackPressure
from .delivery.runner_selector import RunnerSelector
from .delivery.runners import ExecutorRunner
from .enums import Product
from .errors import JoinTimeout, NotJoinedError, UsageError
from .official.client_names import OfficialNames
from .protocol.fields import integer
from .protocol.identity import ParsedEvent, StartPayload
from .protocol.urls import parse_server_urls
from .protocol.webhook_events import WebhookKind, stream_kind_of
from .runtime import drivers
from .runtime.exit import callback_deadline, leave_at_exit
from .runtime.hub_context import HubContext, PendingCall, current_context
from .stream.changes import LiveChanges
from .stream.connection import ConnectOptions
from .stream.join_request import JoinRequest, event_ts_of, read_payload
from .stream.leave_reason import LeaveReason
from .stream.session import StreamSession
from .stream.stats import ClientStats
from .transport.base import Transport
from .transport.network import NetworkTransport
from .typing import Result

__all__ = ["Client"]


class Client(CallbackRegistration, OfficialNames):
    """One RTMS stream: register functions, :meth:`join`, :meth:`leave`.

    By default your functions run in greenlets of the stream's hub: one greenlet for each media
    type, and one for all events. With ``executor``, a started :class:`EventLoop` or
    :func:`run_async` they run in other threads. They may call any method of the client but
    :meth:`wait`, and may wait cooperatively for as long as they like; see ``docs/concurrency.md``.
    A name has one function: registering another one replaces it. To connect several use
    :mod:`rtms_gevent.signals`.
    """

    def __init__(
        self,
        executor: Executor | None = None,
        *,
        context: Callable[[], contextlib.AbstractContextManager[object]] | None = None,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        reconnect: Reconnect | None = None,
        inboxes: Inboxes | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Make a client that is not joined.

        Args:
            executor: Runs the functions, instead of the stream's greenlets. Those of one media type
                still run one after the other.
            context: Called before each function of yours; what it returns is entered around it.
                For Flask pass ``app.app_context``.
            timeouts: How long each step may take.
            limits: How much of what the server sends is held in memory.
            reconnect: How a stream that broke is joined again.
            inboxes: How much may wait for a slow callback, and what becomes of more.
            transport: Opens the sockets, instead of the network: for tests, see
                :class:`rtms_gevent.transport.memory.MemoryTransport`.

        Raises:
            ConfigurationError: ``executor`` is no ``concurrent.futures.Executor``.
        """
        super().__init__()
        if executor is not None:
            ExecutorRunner(executor)  # refuses what is no executor
        self._executor = executor
        self._context = context
        self._timeouts = timeouts or Timeouts()
        self._limits = limits or Limits()
        self._reconnect = reconnect or Reconnect()
        self._inboxes = inboxes or Inboxes()
        self._transport = transport
        self._chosen_context: HubContext | None = None  # chosen by EventLoop.add
        self._hub_context: HubContext | None = None  # of the stream, once join() was called
        self._request: JoinRequest | None = None
        self._pending: PendingCall | None = None  # the join, until its session was started
        self._session: StreamSession | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def __repr__(self) -> str:
        return f"<Client {self.stream_id() or 'that never joined'}>"

    # -- joining and leaving -----------------------------------------------------------------------

    def join(
        self,
        meeting_uuid: str | StartPayload | Mapping[str, object] | ParsedEvent | None = None,
        webinar_uuid: str | None = None,
        session_id: str | None = None,
        engagement_id: str | None = None,
        rtms_stream_id: str | None = None,
        server_urls: str | None = None,
        signature: str | None = None,
        timeout: int = -1,
        ca: str | None = None,
        client: str | None = None,
        secret: str | None = None,
        poll_interval: int = 10,
        *,
        call_id: str | None = None,
        allowed_hosts: str | Iterable[str] | None = None,
        unified: bool = False,
        buffer_data: bool | None = None,
        id_field: str | None = None,
        **fields: Any,
    ) -> bool:
        """Begin to join a stream, and return at once.

        Connecting goes on in greenlets, so something must let the hub run: :func:`run`,
        :meth:`wait`, ``gevent.sleep()`` or a gevent worker. :meth:`wait_joined` and
        :meth:`on_join_confirm` say whether it worked. Pass the start webhook's payload or event as
        the first argument. Only its ids and ``server_urls`` are used, and keywords win. Do not
        spread it as ``**payload``: then who sent it could choose the other arguments, too.

        Args:
            meeting_uuid: Id of the meeting; or the payload or event.
            webinar_uuid: Id of the webinar.
            session_id: Id of the Video SDK session.
            engagement_id: Id of the Contact Center engagement.
            rtms_stream_id: Id of the stream.
            server_urls: Addresses of the signaling server, with commas between, the best one first.
            signature: The handshake signature, if you make it with :func:`generate_signature`.
            timeout: Milliseconds for all of joining; -1 is 60,000, as long as Zoom holds a stream.
            ca: File (PEM) with certificates to trust; else ``ZM_RTMS_CA``, else certifi's.
            client: Client id of the app; else ``ZM_RTMS_CLIENT``.
            secret: Client secret of the app; else ``ZM_RTMS_SECRET``.
            poll_interval: Does nothing, since nothing polls; the official SDK has it.
            call_id: Id of the phone call.
            allowed_hosts: Hosts to allow beside Zoom's; else ``ZM_RTMS_ALLOWED_HOSTS``.
            unified: Use one media socket for all; with ``OverflowPolicy.BLOCK`` all wait for one.
            buffer_data: False drops the up to 60 s of audio that Zoom buffered before we joined.
            id_field: Name of the id in handshakes, such as ``"meeting_uuid"``; else the webhook's.
            **fields: Other fields of a payload, which are ignored.

        Returns:
            True.

        Raises:
            ConfigurationError: an argument is missing or wrong; nothing was started.
            UsageError: this client is joined already, or its loop is being stopped.
        """
        ended = self._pending is None and self._session is not None and self._session.has_ended
        if self._is_active and not ended:  # a callback of the end may join again
            raise UsageError("this client is joined already: leave() first, or use another Client")
        request = JoinRequest.from_arguments(
            meeting_uuid,
            {
                "webinar_uuid": webinar_uuid,
                "session_id": session_id,
                "engagement_id": engagement_id,
                "call_id": call_id,
                "rtms_stream_id": rtms_stream_id,
                "server_urls": server_urls,
            },
            ConnectOptions(self._timeouts, self._limits, self._reconnect),
            self._transport
            or NetworkTransport(ca_file(ca), Proxies.resolve(self._proxy), self._limits),
            signature=signature,
            timeout=timeout,
            client=client,
            secret=secret,
            hosts=allowed_hosts,
            unified=unified,
            buffer_data=buffer_data,
            id_field=id_field,
            others=fields,
        )
        self._subscription.check()
        hub_context = self._chosen_context or current_context()
        if hub_context.is_ending:
            raise UsageError("the loop of this client is being stopped: join when it runs again")
        self._request = request
        self._hub_context = hub_context
        leave_at_exit()
        self._pending = PendingCall(hub_context, self._begin, self)
        hub_context.schedule(self._pending)
        return True

    def _begin(self) -> None:
        """Start the session; runs on the hub of the stream."""
        hub_context, request = self._hub_context, self._request
        assert hub_context is not None
        assert request is not None
        if hub_context.callback_thread is None:  # else functions run beside the hub
            drivers.warn()

        def make_dispatcher(back_pressure: BackPressure) -> Dispatcher:
            return Dispatcher(
                self,
                self._callbacks,
                RunnerSelector(hub_context, self._executor),
                stream=request.stream,
                context=self._context,
                inboxes=self._inboxes,
                back_pressure=back_pressure,
            )

        try:
            session = StreamSession(request, self._subscription, make_dispatcher)
            session.end_reported.rawlink(lambda _: self._ended_on(hub_context))
            session.start()
            self._session = session
        except BaseException:
            hub_context.discard(self)
            raise
        finally:  # last: other threads may ask at any time whether we are active
            self._pending = None

    def _ended_on(self, hub_context: HubContext) -> None:
        # The hub calls this a little later, when the client may have joined again already.
        if self._hub_context is not hub_context or not self._is_active:
            hub_context.discard(self)

    def bind(self, hub_context: HubContext) -> None:
        """Bind the client to a loop. Not for users, who call ``EventLoop.add``.

        Raises:
            UsageError: it is bound to another one, and has begun to join.
        """
        is_elsewhere = self._hub_context is not hub_context and self._is_active
        if is_elsewhere and (self._pending is None or not self._pending.move_to(hub_context)):
            raise UsageError("this client has begun to join on another loop: add it before")
        self._chosen_context = hub_context
        hub_context.add(self)

    def moved_to(self, context: HubContext) -> None:
        """Note that a join that has not begun was moved to another context."""
        self._hub_context = context

    @property
    def _is_active(self) -> bool:
        return self._pending is not None or (
            self._session is not None and not self._session.over.is_set()
        )

    def wait_joined(self, timeout: float | None = None) -> None:
        """Wait until the stream is joined, so that media may flow. Other greenlets go on meanwhile.

        Args:
            timeout: Seconds to wait; ``None`` waits as long as joining may take.

        Raises:
            JoinError: joining failed; its class and text say why and what to do.
            JoinTimeout: not joined within ``timeout``; joining goes on.
            NotJoinedError: :meth:`join` was not called.
        """
        session = self._joined_session()
        if not session.joined.ready():
            # Not get(), whose Timeout looks like one that the caller has set.
            self._call(session.joined.wait, timeout)
        if not session.joined.ready():
            raise JoinTimeout(timeout or 0, "the end of joining, which goes on")
        session.joined.get(block=False)

    def wait(self, timeout: float | None = None) -> LeaveReason | None:
        """Wait until the stream has ended and everything was delivered; return why it ended.

        That is when :meth:`on_end` has returned. Returns immediately if the stream is over.

        Args:
            timeout: Seconds to wait. ``None`` is returned if the stream is not over by then.

        Raises:
            NotJoinedError: :meth:`join` was not called.
            UsageError: called from a callback of this client, which would wait for itself.
        """
        session = self._joined_session()
        if session.dispatcher.is_delivering:
            raise UsageError("wait() cannot be called from a callback: the stream waits for it")
        is_over = session.end_reported.is_set() or self._call(session.end_reported.wait, timeout)
        return session.end if is_over else None

    def leave(self, *, close_stream: bool = False) -> bool:
        """Leave the stream; when this returns, nothing is delivered any more but the end.

        May be called from anywhere, callbacks included, and again. It waits until :meth:`on_end`
        has returned, for half a second at most if another callback still runs; that one is left to
        finish. Inside a callback of this client it does not wait. What waits in inboxes is dropped.

        Args:
            close_stream: Ask Zoom first to end the stream; else it holds it for about 60 s.

        Returns:
            True.
        """
        if self._is_active and not self._cancelled(LeaveReason.left()):
            self._call(lambda: self._joined_session().leave(close_stream=close_stream))
        return True

    def hand_over(self, timeout: float | None = None) -> bool:
        """Leave the stream so that another worker may go on; when this returns, it may join.

        Closes the sockets, delivers what has come, and calls :meth:`on_end` with a
        :class:`LeaveReason` whose ``is_handover`` is true. Then :meth:`stats` is final. May be
        called from anywhere; inside a callback of this client it begins, and does not wait.

        Args:
            timeout: Seconds that functions get. What was not delivered by then is dropped; those
                that run are left to finish. By default 5 s; in gunicorn by ``graceful_timeout``.

        Returns:
            Whether another worker may go on; False where the stream has ended in another way.
        """
        if self._is_active:
            if self._cancelled(LeaveReason.handed_over()):
                return True
            session = self._joined_session()
            seconds = callback_deadline().seconds if timeout is None else timeout
            self._call(session.hand_over, seconds or 0.0, not session.dispatcher.is_delivering)
        end = None if self._session is None else self._session.end
        return end is not None and end.is_handover

    def taken_over(self) -> None:
        """Leave at once, since another worker has the stream. Not for users."""
        reason = LeaveReason.taken_over()
        if self._is_active and not self._cancelled(reason):
            self._call(lambda: self._joined_session().leave(reason=reason))

    def _cancelled(self, reason: LeaveReason) -> bool:
        """End a join whose loop does not run; else it begins, so that it can end."""
        hub_context, pending = self._hub_context, self._pending
        if pending is None or hub_context is None or hub_context.hub or not pending.cancel():
            return False
        self._pending = None
        hub_context.discard(self)
        reason = dataclasses.replace(reason, was_joined=False)
        report_end(self, self._callbacks, self._context, self.stream_id(), reason)
        return True

    def stop(self) -> bool:
        """Do what :meth:`leave` does; the official SDK has both names."""
        return self.leave()

    def notify(self, event: Mapping[str, object] | ParsedEvent) -> None:
        """Pass on what a later webhook says about this client's stream.

        :class:`.StreamManager` and the Flask extension do this for you. A stop ends the stream once
        all that arrived was delivered. An interruption makes the client reconnect, if it has not. A
        start with other addresses moves the stream there. Events of other streams are ignored.

        Args:
            event: The webhook event: parsed, or as the dict that Zoom sent.

        Raises:
            ServerUrlError: a start names addresses that must not be connected to.
        """
        name, payload = read_payload(event)
        if not self._is_active or payload.get("rtms_stream_id") != self.stream_id():
            return
        session = self._joined_session()
        kind = stream_kind_of(name or "")
        if kind is WebhookKind.STOPPED:
            self._call(session.stopped_by_zoom, integer(payload, "stop_reason"))
        elif kind is WebhookKind.INTERRUPTED:
            self._call(session.recovery.interrupted_by_zoom, event_ts_of(event))
        elif kind is WebhookKind.STARTED:
            urls = parse_server_urls(payload.get("server_urls"), session.request.allowed_hosts)
            self._call(session.recovery.moved_by_zoom, urls)

    # -- what is known -----------------------------------------------------------------------------

    @property
    def is_joined(self) -> bool:
        """Whether the stream is joined and its signaling socket works."""
        return self._session is not None and self._session.is_joined

    @property
    def product(self) -> Product | None:
        """The product that the stream belongs to; ``None`` before :meth:`join`."""
        return None if self._request is None else self._request.identity.product

    @property
    def negotiated(self) -> dict[str, Any]:
        """What the server has answered: ``{"audio": {"codec": 1, ...}}``; empty before joining."""
        return {} if self._session is None else dict(self._session.negotiated)

    @property
    def skipped(self) -> dict[str, int]:
        """Unusable messages, by socket ("signaling" or media type); see the ``error`` signal."""
        return {} if self._session is None else dict(self._session.skipped)

    @property
    def dropped(self) -> dict[str, int]:
        """Undelivered packets, by media type, such as "audio"; see the ``error`` signal."""
        if self._session is None:
            return {}
        dropped = self._session.dispatcher.dropped
        return {kind.name.lower(): sum(dropped(kind).values()) for kind in MEDIA_NAMES}

    @property
    def callback_errors(self) -> dict[str, int]:
        """How often each callback raised, by its name without ``on_``, such as "audio_data"."""
        return {} if self._session is None else dict(self._session.dispatcher.callback_errors)

    def stats(self) -> ClientStats:
        """Return what came, what was delivered and what is missing, as it is now."""
        if self._session is None:
            return ClientStats(self.stream_id(), self.uuid(), False, {}, {}, {}, 0, 0)
        # Where another stream is joined just now, it has no numbers yet: these are the other's.
        return self._session.stats()

    def stream_id(self) -> str:
        """Return the ``rtms_stream_id``; empty before :meth:`join`."""
        return "" if self._request is None else self._request.identity.stream_id

    def uuid(self) -> str:
        """Return the id of the meeting, session, engagement or call; empty before :meth:`join`."""
        return "" if self._request is None else self._request.identity.uuid

    # -- inside ------------------------------------------------------------------------------------

    def _change(self, change: Callable[[LiveChanges], object]) -> None:
        if self._session is not None and self._session.is_joined:
            self._call(change, self._session.changes)

    def _joined_session(self) -> StreamSession:
        pending, hub_context = self._pending, self._hub_context
        if pending is not None and hub_context is not None:
            hub_context.call(hub_context.run, pending)
        if self._session is None:
            raise NotJoinedError("call join() first")
        return self._session

    def _call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call on the hub of the stream, whichever thread we are in."""
        assert self._hub_context is not None
        return self._hub_context.call(function, *arguments)
