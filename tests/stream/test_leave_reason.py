import dataclasses

import pytest

from rtms_gevent.enums import StopReason
from rtms_gevent.errors import (
    ConnectError,
    ConnectionLost,
    EndedBeforeJoined,
    HandshakeClosed,
    HandshakeMalformed,
    HandshakeRejected,
    InboxOverflow,
    JoinTimeout,
    MediaNotOffered,
    RtmsError,
    TlsError,
)
from rtms_gevent.explanations import explain_stop
from rtms_gevent.stream.leave_reason import LeaveReason


def test_we_left():
    reason = LeaveReason.left()
    assert (reason.code, reason.by_us, reason.error, reason.stop_reason) == (20, True, None, None)
    assert str(reason) == "we left"


@pytest.mark.parametrize(
    ("reason", "by_us", "words"),
    [
        (LeaveReason.handed_over(), True, "another worker goes on with the stream"),
        (LeaveReason.taken_over(), False, "another worker has taken the stream over"),
    ],
)
def test_another_worker_goes_on(reason, by_us, words):
    assert (reason.is_handover, reason.by_us, str(reason)) == (True, by_us, words)
    assert (reason.code, reason.error, reason.stop_reason) == (20, None, None)
    assert not LeaveReason.left().is_handover


@pytest.mark.parametrize("number", [*StopReason, 27, 777])
def test_zoom_ended_it(number):
    reason = LeaveReason.stopped(int(number))
    assert (reason.code, reason.stop_reason) == (number, number)
    assert type(reason.stop_reason) is type(number)
    assert (reason.by_us, reason.error) == (False, None)
    explained = explain_stop(number)
    name = getattr(number, "name", "unknown")
    assert str(reason) == (
        f"Zoom ended the stream, reason {int(number)} ({name}): {explained.cause} "
        f"What to do: {explained.remedy}"
    )


def test_zoom_gave_no_reason():
    reason = LeaveReason.stopped(None)
    assert (reason.code, reason.stop_reason) == (-1, None)
    assert str(reason) == "Zoom ended the stream without a reason"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HandshakeRejected("signaling", 3), 3),
        (HandshakeRejected("signaling", 777), 777),
        (HandshakeClosed("signaling", 1000), 960),
        (HandshakeMalformed("signaling", "x"), 6),
        (MediaNotOffered(("chat",), ()), 14),
        (JoinTimeout(60, "x"), 1),
        (EndedBeforeJoined("x"), 2),
        (ConnectError("u", "tcp", "refused"), 1),
        (TlsError("u", "tls", "expired"), 610),
        (ConnectionLost("audio", "closed", 1001), 960),
        (ConnectionLost("audio", "reset"), 502),
        (InboxOverflow("transcript", 1), 502),
        (RtmsError("x"), 502),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_failed(error, code):
    reason = LeaveReason.failed(error)
    assert reason.code == code
    assert reason.error is error
    assert (reason.by_us, reason.stop_reason) == (False, None)
    assert str(reason) == str(error)


def test_reasons_are_values():
    assert LeaveReason.stopped(6) == LeaveReason.stopped(6) != LeaveReason.stopped(7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        LeaveReason.left().code = 0
