"""Exceptions: their texts and attributes, and that they can be pickled."""

import pickle
import re

import pytest

from rtms_gevent import errors
from rtms_gevent.enums import StatusCode
from rtms_gevent.errors import (
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    EndedBeforeJoined,
    FrameError,
    GaveUp,
    HandshakeClosed,
    HandshakeMalformed,
    HandshakeRejected,
    InboxOverflow,
    JoinError,
    JoinTimeout,
    LocalProtocolError,
    MediaNotOffered,
    MissingExtra,
    NotJoinedError,
    RemoteProtocolError,
    RtmsError,
    ServerUrlError,
    StoreError,
    StreamLost,
    TlsError,
    UsageError,
    WebhookError,
)
from rtms_gevent.explanations import explain_status

SIGNATURE = explain_status(StatusCode.INVALID_SIGNATURE)
NEWER = explain_status(777)

#: Each error, the beginning of its text, and the number that on_join_confirm would get.
TEXTS = [
    (RtmsError("broken"), "broken", None),
    (UsageError("wrong"), "wrong", None),
    (ConfigurationError("no client"), "no client", None),
    (ServerUrlError("no host"), "no host", None),
    (LocalProtocolError("not now"), "not now", None),
    (NotJoinedError("join first"), "join first", None),
    (RemoteProtocolError("no JSON"), "no JSON", None),
    (FrameError("masked"), "masked", None),
    (FrameError("too long", 1009), "too long", None),
    (JoinError("could not"), "could not", 1),
    (
        ConnectError("wss://a:443", "dns", "no such host"),
        "cannot open a WebSocket to wss://a:443 (dns): no such host",
        1,
    ),
    (
        TlsError("wss://a:443", "tls", "expired"),
        "cannot open a WebSocket to wss://a:443 (tls): expired",
        610,
    ),
    (
        HandshakeRejected("signaling", 3),
        "signaling handshake rejected with status 3 (INVALID_SIGNATURE). Likely cause: "
        f"{SIGNATURE.cause} What to do: {SIGNATURE.remedy}",
        3,
    ),
    (
        HandshakeRejected("audio media", 777, "new rule"),
        "audio media handshake rejected with status 777 (not known here), server says 'new rule'. "
        f"Likely cause: {NEWER.cause} What to do: {NEWER.remedy}",
        777,
    ),
    (
        HandshakeRejected("signaling", 15, "invalid signature"),
        "signaling handshake rejected with status 3 (INVALID_SIGNATURE, sent as 15), server says "
        f"'invalid signature'. Likely cause: {SIGNATURE.cause} What to do: {SIGNATURE.remedy}",
        3,
    ),
    (
        HandshakeClosed("signaling", None),
        "the server closed the signaling socket without a close frame while we were "
        "joining. Check, in this order: is the client secret",
        960,
    ),
    (
        HandshakeClosed("video", 1000, "bye"),
        "the server closed the video socket with code 1000 'bye' while we were joining",
        960,
    ),
    (
        HandshakeMalformed("signaling", "it names no media server"),
        "unusable answer to the signaling handshake: it names no media server",
        6,
    ),
    (
        MediaNotOffered(("chat", "audio"), ("video",)),
        "asked for chat, audio, but the server offers video. Add the missing RTMS scopes",
        14,
    ),
    (MediaNotOffered(("chat",), ()), "asked for chat, but the server offers nothing. Add", 14),
    (
        JoinTimeout(60.0, "the media sockets"),
        "not joined after 60 s, still waiting for the media sockets. Zoom holds",
        1,
    ),
    (JoinTimeout(0.5, "x"), "not joined after 0.5 s, still waiting for x.", 1),
    (EndedBeforeJoined("we left"), "the stream was over before it was joined: we left", 2),
    (StreamLost("gone"), "gone", None),
    (
        ConnectionLost("audio", "reset by peer"),
        "the audio socket was lost: reset by peer",
        None,
    ),
    (ConnectionLost("audio", "closed", 1001), "the audio socket was lost: closed", None),
    (
        GaveUp(61.2, 9),
        "the stream broke and could not be joined again: 9 attempts in 61 s. Zoom has ended it by "
        "now; start RTMS again, or wait for the next start webhook.",
        None,
    ),
    (
        InboxOverflow("video", 12),
        "the inbox for video is full, because the callback is slower than the stream; 12 packets "
        "were dropped so far.",
        None,
    ),
    (StoreError("the disk is full", is_lasting=True), "the disk is full", None),
    (
        WebhookError(401, "the signature is wrong"),
        "webhook refused with 401: the signature is wrong",
        None,
    ),
    (
        MissingExtra("the simulator", "simulator"),
        "the simulator needs more packages: pip install 'rtms-gevent[simulator]'",
        None,
    ),
]
rows = pytest.mark.parametrize(
    ("error", "text", "reason"), TEXTS, ids=[type(row[0]).__name__ for row in TEXTS]
)


@rows
def test_text(error, text, reason):
    assert str(error).startswith(text)
    if reason is None:
        assert not isinstance(error, JoinError)
    else:
        assert error.reason == reason


@rows
def test_errors_pickle(error, text, reason):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_every_error_has_a_row():
    assert {type(row[0]).__name__ for row in TEXTS} == set(errors.__all__)


def tree_in_docstring():
    """Return parent's name per class, read from the picture in the module's docstring."""
    above, found = {}, {}
    for line in errors.__doc__.splitlines():
        match = re.match(r"    (?P<branches>[│├└─ ]*)(?P<name>[A-Z]\w+)(\s{2,}|$)", line)
        if match is None:
            continue
        depth = len(match["branches"]) // 4
        above[depth] = match["name"]
        found[match["name"]] = above[depth - 1] if depth else None
    return found


def test_the_tree_is_as_drawn():
    drawn = tree_in_docstring()
    assert set(drawn) == set(errors.__all__)
    assert {
        name: parent and getattr(errors, parent) for name, parent in drawn.items() if parent
    } == {name: getattr(errors, name).__mro__[1] for name in errors.__all__ if name != "RtmsError"}


@pytest.mark.parametrize("name", errors.__all__)
def test_one_root(name):
    assert issubclass(getattr(errors, name), RtmsError)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ConfigurationError, ValueError),
        (ServerUrlError, ValueError),
        (MissingExtra, ImportError),
    ],
)
def test_builtin_kin(kind, builtin):
    assert issubclass(kind, builtin)


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (HandshakeRejected("signaling", 3, "no"), {"phase": "signaling", "reason_text": "no"}),
        (HandshakeRejected("x", 3), {"status": StatusCode.INVALID_SIGNATURE, "reason": 3}),
        (HandshakeRejected("x", 777), {"status": 777, "reason": 777, "sent_status": 777}),
        (
            HandshakeRejected("x", 17, "duplicate signal request"),
            {"status": StatusCode.DUPLICATE_SIGNAL_REQUEST, "reason": 8, "sent_status": 17},
        ),
        (HandshakeClosed("x", 1000, "bye"), {"close_code": 1000, "close_reason": "bye"}),
        (FrameError("x", 1009), {"close_code": 1009}),
        (FrameError("x"), {"close_code": 1002}),
        (ConnectError("u", "tcp", "p"), {"url": "u", "step": "tcp", "problem": "p"}),
        (ConnectionLost("audio", "p", 1001), {"socket": "audio", "close_code": 1001}),
        (MediaNotOffered(("chat",), ()), {"wanted": ("chat",), "offered": ()}),
        (JoinTimeout(1.5, "x"), {"seconds": 1.5, "waiting_for": "x"}),
        (GaveUp(61.2, 9), {"outage": 61.2, "attempts": 9}),
        (InboxOverflow("video", 2), {"media_type": "video", "dropped": 2}),
        (WebhookError(413, "p"), {"status": 413, "problem": "p"}),
        (MissingExtra("w", "e"), {"what": "w", "extra": "e"}),
    ],
)
def test_errors_carry_their_data(error, attributes):
    assert {name: getattr(error, name) for name in attributes} == attributes


def test_the_servers_words_are_quoted_and_cut():
    text = str(HandshakeRejected("signaling", 3, "line\nbreak" + "x" * 1000))
    assert "\n" not in text
    assert "line\\nbreak" in text
    assert len(text) < 1000
    assert "\n" not in str(HandshakeClosed("signaling", 1000, "line\nbreak"))
