"""Blinker signals for everything that a client tells: connect to as many as you like.

The sender of every signal is the :class:`~rtms_gevent.Client`, but for ``webhook_received``, whose
sender is the receiver object. Connected functions must accept ``**extra``, so that arguments can
be added later. A receiver that raises is logged, and the others still run. Receivers run in the
greenlet that the matching callback runs in, after the callback; blocking there delays what follows
in the same greenlet, and never a keep-alive.

Blinker holds receivers weakly: connect a function that is defined inside another one with
``weak=False``. To hear one client only, use ``signal.connect(function, sender=client)``.
"""

from __future__ import annotations

import logging
from typing import Any

from blinker import NamedSignal, Namespace

from .interrupts import is_ctrl_c

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

_signals = Namespace()

# -- life of a stream ------------------------------------------------------------------------------

joining = _signals.signal(
    "joining",
    doc="A client begins to join. Arguments: ``stream_id`` (str), ``uuid`` (str), ``product``"
    " (Product).",
)
joined = _signals.signal(
    "joined", doc="Media may flow. Arguments: ``stream_id`` (str), ``uuid`` (str)."
)
left = _signals.signal(
    "left",
    doc="The stream is over for us, whoever ended it, or it could not be joined: follows each"
    " ``joining``. Arguments: ``stream_id`` (str), ``reason``"
    " (LeaveReason).",
)
interrupted = _signals.signal(
    "interrupted",
    doc="A socket of a joined stream broke, or Zoom says so; it is being rebuilt. Arguments:"
    " ``what`` (str: 'signaling', 'media' or a media type), ``error`` (ConnectionLost, or None"
    " where Zoom says so).",
)
reconnecting = _signals.signal(
    "reconnecting",
    doc="An attempt to rebuild what broke is about to be made. Arguments: ``attempt`` (int, from 1"
    " on), ``delay`` (int, ms until it is made).",
)
reconnected = _signals.signal(
    "reconnected", doc="All is whole again. Arguments: ``outage`` (int, ms since the loss)."
)
media_gap = _signals.signal(
    "media-gap",
    doc="After an outage: media of some time is missing, and will not come. Arguments: ``gap``"
    " (Gap: media_type, start and end in ms since the epoch, cause).",
)
gave_up = _signals.signal(
    "gave-up",
    doc="What broke could not be rebuilt in time; ``left`` follows. Arguments: ``error`` (GaveUp).",
)
error = _signals.signal(
    "error",
    doc="Something went wrong: joining failed, a message was skipped, a callback raised, packets"
    " were dropped. Arguments: ``error`` (Exception), ``where`` (str).",
)
stream_state = _signals.signal(
    "stream-state",
    doc="Zoom reports the state of the stream. Arguments: ``state`` (StreamState or int),"
    " ``reason`` (StopReason, int or None), ``timestamp`` (int, ms, or None).",
)
session_state = _signals.signal(
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
audio_data = _signals.signal("audio-data", doc="A packet of audio." + _MEDIA_DOC)
video_data = _signals.signal("video-data", doc="A packet of video." + _MEDIA_DOC)
deskshare_data = _signals.signal("deskshare-data", doc="A packet of screen share." + _MEDIA_DOC)
transcript_data = _signals.signal("transcript-data", doc="A piece of transcript." + _MEDIA_DOC)
chat_data = _signals.signal("chat-data", doc="A chat message." + _MEDIA_DOC)

# -- events, with the arguments of the callbacks of the same name ----------------------------------

session_update = _signals.signal(
    "session-update", doc="Arguments: ``op`` (int, SESSION_EVENT_*), ``session`` (Session)."
)
user_update = _signals.signal(
    "user-update", doc="Arguments: ``op`` (int, USER_*), ``participant`` (Participant)."
)
participant_event = _signals.signal(
    "participant-event",
    doc="Arguments: ``event`` ('join' or 'leave'), ``timestamp`` (int, ms), ``participants`` (list"
    " of dicts with ``user_id`` and ``user_name``).",
)
active_speaker_event = _signals.signal(
    "active-speaker-event",
    doc="Arguments: ``timestamp`` (int, ms), ``user_id`` (int), ``user_name`` (str).",
)
sharing_event = _signals.signal(
    "sharing-event",
    doc="Arguments: ``event`` ('start' or 'stop'), ``timestamp`` (int, ms), ``user_id`` (int or"
    " None), ``user_name`` (str or None).",
)
media_connection_interrupted = _signals.signal(
    "media-connection-interrupted", doc="Arguments: ``timestamp`` (int, ms)."
)
participant_video = _signals.signal(
    "participant-video", doc="Arguments: ``user_ids`` (list of int), ``is_on`` (bool)."
)
video_subscribed = _signals.signal(
    "video-subscribed",
    doc="Arguments: ``user_id`` (int), ``status`` (StatusCode or int), ``error`` (str).",
)
other_message = _signals.signal(
    "other-message",
    doc="A message that has no signal of its own: one that is newer than this package, metadata of"
    " media, an answer to a question about states. Arguments: ``message`` (Message, with ``raw``),"
    " ``socket`` (str).",
)
event_ex = _signals.signal(
    "event-ex",
    doc="Any event, known or not. Arguments: ``event`` (str, the event object as JSON), ``update``"
    " (EventUpdate).",
)

# -- webhooks --------------------------------------------------------------------------------------

webhook_received = _signals.signal(
    "webhook-received",
    doc="A webhook was accepted and answered. Sender: the WebhookReceiver. Arguments: ``event``"
    " (WebhookEvent).",
)


def emit(signal: NamedSignal, sender: object, **arguments: Any) -> None:
    """Call every receiver of ``signal``, whatever the others do. Raises nothing but a Ctrl-C."""
    if not signal.receivers or signal.is_muted:
        return
    for receiver in list(signal.receivers_for(sender)):
        try:
            receiver(sender, **arguments)
        except BaseException as problem:
            if is_ctrl_c(problem):
                raise
            logger.exception("receiver %r of signal %s failed", receiver, signal.name)
