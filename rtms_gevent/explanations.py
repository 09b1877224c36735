"""What Zoom's status codes and stop reasons mean: cause and remedy of each, as tables."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from .enums import StatusCode, StopReason, known

__all__ = ["Explanation", "explain_connect", "explain_status", "explain_stop", "status_meant"]


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """A likely cause, and what to do about it."""

    cause: str
    remedy: str


_UNKNOWN = Explanation(
    "this number is newer than this package.",
    "look it up in Zoom's data types reference, and look for a newer rtms-gevent.",
)

_S = StatusCode


def _scope(media: str) -> Explanation:
    return Explanation(
        f"the app has no scope for {media}.",
        f"add the {media} scope to the app in Zoom's Marketplace and install it again.",
    )


def _params(field: str) -> Explanation:
    return Explanation(
        f"the server does not accept {field} in this combination.",
        "compare the parameters with the table in docs/media-parameters.md.",
    )


_STATUS: Mapping[int, Explanation] = {
    _S.OK: Explanation("none.", "nothing."),
    _S.INVALID_MESSAGE_TYPE: Explanation(
        "the server did not expect this message now.", "report this with a log."
    ),
    _S.INVALID_RTMS_STREAM_ID: Explanation(
        "the server does not know this stream: it has ended, the webhook is too old, or the ids of "
        "two webhooks were mixed.",
        "join with the newest webhook's payload, within 60 seconds.",
    ),
    _S.INVALID_SIGNATURE: Explanation(
        "the client secret does not belong to the client id, or the id that was signed is not the "
        "one of this stream.",
        "check ZM_RTMS_CLIENT and ZM_RTMS_SECRET (Video SDK apps use SDK key and secret), and pass "
        "the webhook's ids on unchanged.",
    ),
    _S.INVALID_PAYLOAD: Explanation(
        "a field of the handshake is missing or has the wrong type.",
        "pass the webhook's payload on unchanged.",
    ),
    _S.INVALID_EVENTS: Explanation(
        "the list of events is empty or malformed.", "check subscribe_event()'s arguments."
    ),
    _S.INVALID_EVENT_TYPE: Explanation(
        "the server does not know one of the events.", "check subscribe_event()'s arguments."
    ),
    _S.INVALID_MEDIA_TYPE: Explanation(
        "the server does not know the media type.", "check which media the app may have."
    ),
    _S.DUPLICATE_SIGNAL_REQUEST: Explanation(
        "another connection to this stream is open, or an old one was not yet noticed as gone.",
        "let one process own a stream; after a broken connection, try again in a few seconds.",
    ),
    _S.MEDIA_TYPE_AUDIO_NOT_SUPPORT: _scope("audio"),
    _S.MEDIA_TYPE_VIDEO_NOT_SUPPORT: _scope("video"),
    _S.MEDIA_TYPE_DESKSHARE_NOT_SUPPORT: _scope("screen share"),
    _S.MEDIA_TYPE_TRANSCRIPT_NOT_SUPPORT: _scope("transcript"),
    _S.MEDIA_TYPE_CHAT_NOT_SUPPORT: _scope("chat"),
    _S.MEDIA_TYPE_INVALID_VALUE: Explanation(
        "the media type is none that this socket serves.", "check which media was asked for."
    ),
    _S.MEDIA_DATA_ALL_CONNECTION_EXIST: Explanation(
        "a unified media socket is open for this stream already.",
        "use either split or unified media sockets, and one process per stream.",
    ),
    _S.DUPLICATE_MEDIA_DATA_CONNECTION: Explanation(
        "a media socket for this media type is open already.",
        "let one process own a stream; after a broken connection, try again in a few seconds.",
    ),
    _S.INVALID_MEDIA_PARAMS: _params("the media parameters"),
    _S.INVALID_MEDIA_AUDIO_PARAMS: _params("the audio parameters"),
    _S.INVALID_MEDIA_AUDIO_CONTENT_TYPE: _params("audio content_type"),
    _S.INVALID_MEDIA_AUDIO_SAMPLE_RATE: _params("audio sample_rate"),
    _S.INVALID_MEDIA_AUDIO_CHANNEL: _params("audio channel"),
    _S.INVALID_MEDIA_AUDIO_CODEC: _params("audio codec"),
    _S.INVALID_MEDIA_AUDIO_DATA_OPT: _params("audio data_opt"),
    _S.INVALID_MEDIA_AUDIO_SEND_RATE: _params("audio send_rate (duration)"),
    _S.INVALID_MEDIA_VIDEO_PARAMS: _params("the video parameters"),
    _S.INVALID_MEDIA_VIDEO_CONTENT_TYPE: _params("video content_type"),
    _S.INVALID_MEDIA_VIDEO_CODEC: _params("video codec"),
    _S.INVALID_MEDIA_VIDEO_RESOLUTION: _params("video resolution"),
    _S.INVALID_MEDIA_VIDEO_DATA_OPT: _params("video data_opt"),
    _S.INVALID_MEDIA_VIDEO_FPS: _params("video fps"),
    _S.INVALID_MEDIA_DESKSHARE_PARAMS: _params("the deskshare parameters"),
    _S.INVALID_MEDIA_DESKSHARE_CONTENT_TYPE: _params("deskshare content_type"),
    _S.INVALID_MEDIA_DESKSHARE_CODEC: _params("deskshare codec"),
    _S.INVALID_MEDIA_DESKSHARE_RESOLUTION: _params("deskshare resolution"),
    _S.INVALID_MEDIA_DESKSHARE_FPS: _params("deskshare fps"),
    _S.INVALID_MEDIA_TRANSCRIPT_PARAMS: _params("the transcript parameters"),
    _S.INVALID_MEDIA_TRANSCRIPT_CONTENT_TYPE: _params("transcript content_type"),
    _S.INVALID_MEDIA_CHAT_PARAMS: _params("the chat parameters"),
    _S.INVALID_MEDIA_CHAT_CONTENT_TYPE: _params("chat content_type"),
    _S.INVALID_RTMS_SESSION_ID: Explanation(
        "the server does not know this session.", "ask for the state of a session that it named."
    ),
    _S.INVALID_CLIENT_READY_ACK: Explanation(
        "client-ready came before the media handshake was done.", "report this with a log."
    ),
    _S.INVALID_EVENT_SUBSCRIBE: Explanation(
        "the event subscription is malformed.", "check subscribe_event()'s arguments."
    ),
    _S.INVALID_MEDIA_TRANSCRIPT_SOURCE_LANGUAGE: _params("transcript src_language"),
    _S.DUPLICATE_VIDEO_SUBSCRIPTION: Explanation(
        "this participant's video is subscribed already.", "nothing; or unsubscribe first."
    ),
    _S.INTERNAL_EXCEPTION: Explanation(
        "Zoom's server failed.", "try again; if it stays, ask Zoom's support."
    ),
    _S.INVALID_MEDIA_TRANSCRIPT_TARGET_LANGUAGE: _params("transcript target language"),
    _S.CHAT_SESSION_KEY_NOT_AVAILABLE: Explanation(
        "the chat is encrypted and its key is not available to the app.",
        "ask the host's administrator whether chat may be shared with apps.",
    ),
}

_R = StopReason
_NOTHING = "nothing, the stream is over."
_RESTART = "start RTMS again (Zoom's REST API), or wait for the next start webhook."
_ADMIN = "ask the host's administrator to allow apps to access meeting content."

_STOP: Mapping[int, Explanation] = {
    _R.UNDEFINED: Explanation("Zoom gave no reason.", _NOTHING),
    _R.HOST_TRIGGERED: Explanation("the host stopped it.", _NOTHING),
    _R.USER_TRIGGERED: Explanation("the user of the app stopped it.", _NOTHING),
    _R.USER_LEFT: Explanation("the user of the app left the meeting.", _NOTHING),
    _R.USER_EJECTED: Explanation("the user of the app was removed.", _NOTHING),
    _R.HOST_DISABLED_APP: Explanation("the host disabled the app.", _NOTHING),
    _R.MEETING_ENDED: Explanation("the meeting ended.", _NOTHING),
    _R.STREAM_CANCELED: Explanation("the stream was cancelled.", _NOTHING),
    _R.STREAM_REVOKED: Explanation("the permission to stream was taken back.", _ADMIN),
    _R.ALL_APPS_DISABLED: Explanation("the host disabled all apps.", _ADMIN),
    _R.INTERNAL_EXCEPTION: Explanation("Zoom's server failed.", _RESTART),
    _R.CONNECTION_TIMEOUT: Explanation(
        "nobody joined the stream in time.", "join within 60 seconds of the start webhook."
    ),
    _R.INSTANCE_CONNECTION_INTERRUPTED: Explanation("Zoom lost its own connection.", _RESTART),
    _R.SIGNAL_CONNECTION_INTERRUPTED: Explanation("the signaling socket broke.", _RESTART),
    _R.DATA_CONNECTION_INTERRUPTED: Explanation("a media socket broke.", _RESTART),
    _R.SIGNAL_CONNECTION_CLOSED_ABNORMALLY: Explanation(
        "the signaling socket was closed without a close frame.", _RESTART
    ),
    _R.DATA_CONNECTION_CLOSED_ABNORMALLY: Explanation(
        "a media socket was closed without a close frame.", _RESTART
    ),
    _R.EXIT_SIGNAL: Explanation("Zoom's server was told to exit.", _RESTART),
    _R.AUTHENTICATION_FAILURE: Explanation(
        "the handshake was not accepted.",
        "check client id and secret, and that only one of the app's two environments is installed.",
    ),
    _R.AWAIT_RECONNECTION_TIMEOUT: Explanation(
        "a broken connection was not made again in time.", _RESTART
    ),
    _R.RECEIVER_REQUEST_CLOSE: Explanation("we asked for it.", _NOTHING),
    _R.CUSTOMER_DISCONNECTED: Explanation("the customer hung up.", _NOTHING),
    _R.AGENT_DISCONNECTED: Explanation("the agent hung up.", _NOTHING),
    _R.ADMIN_DISABLED_APP: Explanation("an administrator disabled the app.", _ADMIN),
    _R.KEEP_ALIVE_TIMEOUT: Explanation(
        "keep-alives were not answered in time.",
        "look for callbacks that block the process; then " + _RESTART,
    ),
    _R.MANUAL_API_TRIGGERED: Explanation("it was stopped through Zoom's REST API.", _NOTHING),
    _R.STREAMING_NOT_SUPPORTED: Explanation(
        "the meeting or the host's client does not support streaming.",
        "ask the host for Zoom client 6.5.5 or newer.",
    ),
}


_PROXY = "ZM_RTMS_PROXY (or HTTPS_PROXY and NO_PROXY, where that is env)"

_CONNECT: Mapping[str, Explanation] = {
    "dns": Explanation(
        "the name is misspelt, or this machine's name server does not answer.",
        "pass server_urls on as the webhook has it, and look the name up on this machine (in its "
        "container): getent hosts NAME.",
    ),
    "refused": Explanation(
        "the server has ended or was moved, or the port is another.",
        "take server_urls from the newest webhook; with a simulator, look whether it still runs.",
    ),
    "unanswered": Explanation(
        "a firewall drops what goes there, or the server is down.",
        "let this machine open TCP connections to port 443 of Zoom's hosts; if it must use a "
        "proxy, name it with set_proxy() or ZM_RTMS_PROXY.",
    ),
    "unreachable": Explanation(
        "this machine, or its container, has no route to that address.",
        "check its network; if it must use a proxy, name it with set_proxy() or ZM_RTMS_PROXY.",
    ),
    "silent": Explanation(
        "the server is overloaded, or something between took the connection in its place.",
        "it may pass; if it stays, ask whoever runs the firewall.",
    ),
    "proxy": Explanation(
        "the proxy is down, or its address is wrong.", f"check set_proxy() or {_PROXY}."
    ),
    "proxy refuses": Explanation(
        "the proxy does not lead to this host, or cannot reach it.",
        f"ask whoever runs it, or do without it: check set_proxy() or {_PROXY}.",
    ),
    "proxy wants password": Explanation(
        "the proxy wants another user name and password.",
        "write them into its address: http://user:password@host:port.",
    ),
}


#: What servers say beside a status, in lower case and without punctuation: the name of the status,
#: of the older numbering, too. Longer ones come first, since they may begin like shorter ones.
_SAID: Mapping[str, StatusCode] = dict(
    sorted(
        (
            ("invalid meeting or stream id", _S.INVALID_RTMS_STREAM_ID),
            *((code.name.lower().replace("_", " "), code) for code in _S if code is not _S.OK),
        ),
        key=lambda pair: -len(pair[0]),
    )
)
#: Characters of the server's words that are looked at.
_WORDS = 500


def status_meant(status: int, reason_text: str) -> StatusCode | int:
    """Return what the status of a refusal means.

    Servers may still speak an older numbering, in which 17 was a duplicate signal request and 15 an
    invalid signature. So the text that comes with a number is believed first. Source: an older
    edition of Zoom's data types, and the match on ``reason`` in zoom/rtms-samples.
    """
    words = " ".join(re.findall("[a-z0-9]+", reason_text[:_WORDS].lower()))
    for said, code in _SAID.items():
        if f" {said} " in f" {words} ":
            return code
    return known(StatusCode, status)


def explain_connect(kind: str) -> Explanation:
    """Return why no connection could be made, and what to do about it.

    Args:
        kind: "dns", "refused", "unanswered", "unreachable", "silent" (connected, but no answer),
            "proxy" (it cannot be reached), "proxy refuses" or "proxy wants password".
    """
    return _CONNECT[kind]


def explain_status(status: int) -> Explanation:
    """Return the likely cause of a handshake's status code and what to do about it."""
    return _STATUS.get(status, _UNKNOWN)


def explain_stop(reason: int) -> Explanation:
    """Return what a stop reason means and what to do about it."""
    return _STOP.get(reason, _UNKNOWN)
