"""Blinker signals for everything that a client reports: connect to as many as you like.

The sender of every signal is the :class:`~rtms_gevent.Client`, but for ``webhook_received``, whose
sender is the receiver object, and ``missed``, whose sender is what keeps the clients. Connected
functions must accept ``**extra``, so that arguments can be added later. A receiver that raises is
logged, and the others still run. Receivers run in the greenlet that the matching callback runs in,
after the callback; blocking there delays what follows in the same greenlet, and never a keep-alive.

To hear one client only, use ``signal.connect(function, sender=client)``. Receivers stay connected
until ``signal.disconnect(function)``, or for as long as the one sender that they were connected to
lives. Blinker's own signals forget a function that nobody else refers to, such as one defined in
``create_app()``; these do so only with ``weak=True``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from blinker import ANY, NamedSignal

from ._interrupts import is_ctrl_c

__all__ = [
    "active_speaker_event",
    "audio_data",
    "chat_data",
    "deskshare_data",
    "emit",
    "error",
    "event_ex",
    "gave_up",
    "interrupted",
    "joined",
    "joining",
    "left",
    "media_connection_interrupted",
    "media_gap",
    "missed",
    "other_message",
    "participant_event",
    "participant_video",
    "reconnected",
    "reconnecting",
    "session_state",
    "session_update",
    "sharing_event",
    "stream_state",
    "transcript_data",
    "user_update",
    "video_data",
    "video_subscribed",
    "webhook_received",
]

logger = logging.getLogger(__name__)

_Receiver = TypeVar("_Receiver", bound=Callable[..., Any])

#: Attribute of a sender: its receivers, with the names of the signals.
_KEPT = "_rtms_gevent_receivers"


class _Signal(NamedSignal):
    """A signal whose receivers do not vanish: what is lost with one is media."""

    def connect(self, receiver: _Receiver, sender: Any = ANY, weak: bool = False) -> _Receiver:
        """Call ``receiver`` from now on; with ``weak`` while somebody else refers to it."""
        if not weak and sender is not ANY and hasattr(sender, "__dict__"):
            # A copy, since comparing runs Python code, in which a receiver may be collected, and so
            # be disconnected.
            is_everyones = receiver in list(self.receivers.values())
            if not is_everyones:
                # Held by the sender, not by the signal, where it would outlive it, and with it all
                # that it refers to itself: mostly the client.
                kept = vars(sender).setdefault(_KEPT, [])
                if (self.name, receiver) not in kept:
                    kept.append((self.name, receiver))
                weak = True
        return super().connect(receiver, sender, weak)

    def disconnect(self, receiver: Callable[..., Any], sender: Any = ANY) -> None:
        """Call it no more."""
        super().disconnect(receiver, sender)
        kept = getattr(sender, "__dict__", {}).get(_KEPT, [])
        if sender is not ANY and (self.name, receiver) in kept:
            kept.remove((self.name, receiver))


# -- life of a stream ------------------------------------------------------------------------------

joining = _Signal(
    "joining",
    doc="A client begins to join. Arguments: ``stream_id`` (str), ``uuid`` (str), ``product``"
    " (Product).",
)
joined = _Signal("joined", doc="Media may flow. Arguments: ``stream_id`` (str), ``uuid`` (str).")
left = _Signal(
    "left",
    doc="The stream is over for us, whoever ended it, or it could not be joined: follows each"
    " ``joining``, and comes alone where a join is left that had not begun. The last of all, after"
    " ``on_end``, its callback, has returned. Arguments:"
    " ``stream_id`` (str), ``reason`` (LeaveReason).",
)
interrupted = _Signal(
    "interrupted",
    doc="A socket of a joined stream broke, or Zoom says so; it is being rebuilt. Arguments:"
    " ``what`` (str: 'signaling', 'media' or a media type), ``error`` (ConnectionLost, or None"
    " where Zoom says so).",
)
reconnecting = _Signal(
    "reconnecting",
    doc="An attempt to rebuild what broke is about to be made. Arguments: ``attempt`` (int, from 1"
    " on), ``delay`` (int, ms until it is made).",
)
reconnected = _Signal(
    "reconnected", doc="All sockets are open again. Arguments: ``outage`` (int, ms since the loss)."
)
media_gap = _Signal(
    "media-gap",
    doc="After an outage: media of some time is missing, and will not come. Arguments: ``gap``"
    " (Gap: media_type, start and end in ms since the epoch, cause).",
)
missed = _Signal(
    "missed",
    doc="A stream started and no worker has joined it in time: all were full, or the store of who"
    " owns which stream was away. Arguments: ``event`` (WebhookEvent), ``reason`` (str).",
)
gave_up = _Signal(
    "gave-up",
    doc="What broke could not be rebuilt in time; ``left`` follows. Arguments: ``error`` (GaveUp).",
)
error = _Signal(
    "error",
    doc="Something went wrong: joining failed, a message was skipped, a callback raised, packets"
    " were dropped. Arguments: ``error`` (Exception), ``where`` (str).",
)
stream_state = _Signal(
    "stream-state",
    doc="Zoom reports the state of the stream. Arguments: ``state`` (StreamState or int),"
    " ``reason`` (StopReason, int or None), ``timestamp`` (int, ms, or None).",
)
session_state = _Signal(
    "session-state",
    doc="Zoom reports the state of a session. Arguments: ``state`` (SessionState or int),"
    " ``session_id`` (str), ``reason`` (StopReason, int or None), ``timestamp`` (int, ms, or"
    " None).",
)

# -- media -----------------------------------------------------------------------------------------

_MEDIA_DOC = (
    " Arguments: ``data`` (bytes), ``size`` (int, bytes), ``timestamp`` (int, ms since the epoch),"
    " ``metadata`` (Metadata)."
)
audio_data = _Signal("audio-data", doc="A packet of audio." + _MEDIA_DOC)
video_data = _Signal("video-data", doc="A packet of video." + _MEDIA_DOC)
deskshare_data = _Signal("deskshare-data", doc="A packet of screen share." + _MEDIA_DOC)
transcript_data = _Signal("transcript-data", doc="A piece of transcript." + _MEDIA_DOC)
chat_data = _Signal("chat-data", doc="A chat message." + _MEDIA_DOC)

# -- events, with the arguments of the callbacks of the same name ----------------------------------

session_update = _Signal(
    "session-update", doc="Arguments: ``op`` (int, SESSION_EVENT_*), ``session`` (Session)."
)
user_update = _Signal(
    "user-update", doc="Arguments: ``op`` (int, USER_*), ``participant`` (Participant)."
)
participant_event = _Signal(
    "participant-event",
    doc="Arguments: ``event`` ('join' or 'leave'), ``timestamp`` (int, ms), ``participants`` (list"
    " of dicts with ``user_id`` and ``user_name``).",
)
active_speaker_event = _Signal(
    "active-speaker-event",
    doc="Arguments: ``timestamp`` (int, ms), ``user_id`` (int), ``user_name`` (str).",
)
sharing_event = _Signal(
    "sharing-event",
    doc="Arguments: ``event`` ('start' or 'stop'), ``timestamp`` (int, ms), ``user_id`` (int or"
    " None), ``user_name`` (str or None).",
)
media_connection_interrupted = _Signal(
    "media-connection-interrupted", doc="Arguments: ``timestamp`` (int, ms)."
)
participant_video = _Signal(
    "participant-video", doc="Arguments: ``user_ids`` (list of int), ``is_on`` (bool)."
)
video_subscribed = _Signal(
    "video-subscribed",
    doc="Arguments: ``user_id`` (int), ``status`` (StatusCode or int), ``error`` (str).",
)
other_message = _Signal(
    "other-message",
    doc="A message that has no signal of its own: one that is newer than this package, metadata of"
    " media, an answer to a question about states. Arguments: ``message`` (Message, with ``raw``),"
    " ``socket`` (str).",
)
event_ex = _Signal(
    "event-ex",
    doc="Any event, known or not. Arguments: ``event`` (str, the event object as JSON), ``update``"
    " (EventUpdate).",
)

# -- webhooks --------------------------------------------------------------------------------------

webhook_received = _Signal(
    "webhook-received",
    doc="A webhook was accepted and answered. Sender: the WebhookReceiver. Arguments: ``event``"
    " (WebhookEvent).",
)


def emit(signal: NamedSignal, sender: object, **arguments: Any) -> None:
    """Call every receiver of ``signal``, whatever the others do. Raises nothing but a Ctrl-C."""
    if not signal.receivers or getattr(signal, "is_muted", False):  # blinker before 1.6 has none
        return
    for receiver in list(signal.receivers_for(sender)):
        try:
            receiver(sender, **arguments)
        except BaseException as problem:
            if is_ctrl_c(problem):
                raise
            logger.exception("receiver %r of signal %s failed", receiver, signal.name)
