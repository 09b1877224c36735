"""Each fault of the simulator, seen from the user's side; ``docs/reliability.md`` lists them."""

from __future__ import annotations

import time

import gevent
import pytest
from gevent.event import Event
from support.recorder import Recorder, wait_until
from support.streams import QUICK

from rtms_gevent import Client, HandshakeRejected, StatusCode, Timeouts, TlsError, signals
from rtms_gevent.config import WebhookSettings
from rtms_gevent.simulator import Simulator
from rtms_gevent.simulator.meeting.faults import GARBAGE
from rtms_gevent.webhook import WebhookServer

SECRET = "a secret token"
HOOKS = ("interrupted", "reconnecting", "reconnected", "leave")
#: Answers that do not come cost a test no time; silence is still no fault.
IMPATIENT = Timeouts(connect=0.2, handshake=0.2, close=0.1)


@pytest.fixture
def impatient():
    with Client(reconnect=QUICK, timeouts=IMPATIENT) as made:
        yield made


@pytest.fixture
def told():
    """All errors that clients tell by signal."""
    errors = []

    def keep(sender, error, **extra):
        errors.append(error)

    with signals.error.connected_to(keep):
        yield errors


def kinds(errors):
    return [type(error).__name__ for error in errors]


def whole_again(meeting, recorder):
    """Wait until media flows once more, and check that the user was told of one outage."""
    recorder.wait_for("reconnected")
    count = len(recorder.of("audio_data"))
    wait_until(lambda: meeting.send_audio(b"again"))
    recorder.wait_for("audio_data", count + 1)
    assert recorder.payloads("audio_data")[-1] == b"again"
    assert recorder.of("leave") == []
    assert len(recorder.of("reconnected")) == 1


# -- a socket goes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sockets", ["signaling", "audio", "media", "all_sockets"])
@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4000])
def test_a_close_frame_of_any_code_is_a_loss(sockets, code, join, meeting, client):
    recorder = Recorder(client, "audio_data", *HOOKS)
    join()
    meeting.faults.close(sockets, code)
    whole_again(meeting, recorder)
    assert {error.close_code for _, error in recorder.of("interrupted")} == {code}


@pytest.mark.parametrize("sockets", ["signaling", "audio", "all_sockets"])
def test_the_end_of_a_connection_without_a_close_frame(sockets, join, meeting, client):
    recorder = Recorder(client, "audio_data", *HOOKS)
    join()
    meeting.faults.half_close(sockets)
    whole_again(meeting, recorder)
    assert {error.close_code for _, error in recorder.of("interrupted")} == {None}


# -- a socket suffers ------------------------------------------------------------------------------


@pytest.mark.parametrize("unified", [False, True], ids=["split", "unified"])
@pytest.mark.parametrize(
    ("fault", "fields"),
    [
        ("split", {"frame": 7}),
        ("split", {"write": 5}),
        ("split", {"frame": 11, "write": 3}),
        ("merge", {"seconds": 0.02}),
        ("delay", {"seconds": 0.02}),
        ("stall", {"seconds": 0.05}),
    ],
    ids=["frames", "writes", "both", "merge", "delay", "stall"],
)
def test_odd_weather_costs_nothing(fault, fields, unified, join, meeting, client):
    recorder = Recorder(client, "audio_data", "transcript_data", *HOOKS)
    join(unified=unified)
    getattr(meeting.faults, fault)("all_sockets", **fields)
    for number in range(20):
        meeting.send_audio(b"%d" % number)
        meeting.send_transcript(f"line {number}")
    recorder.wait_for("audio_data", 20)
    recorder.wait_for("transcript_data", 20)
    assert recorder.payloads("audio_data") == [b"%d" % number for number in range(20)]
    assert recorder.payloads("transcript_data") == [b"line %d" % number for number in range(20)]
    assert recorder.of("interrupted") == []
    assert client.skipped == {}


@pytest.mark.parametrize("fault", ["stall", "no_keep_alives"])
@pytest.mark.parametrize("sockets", ["signaling", "audio"])
def test_silence_that_is_too_long_is_a_loss(fault, sockets):
    patience = Timeouts(signaling_silence=0.3, media_silence=0.3, close=0.05)
    with (
        Simulator("empty", keep_alive=0.02) as simulator,
        Client(timeouts=patience, reconnect=QUICK) as client,
    ):
        meeting = simulator.meeting
        recorder = Recorder(client, "audio_data", *HOOKS)
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        assert meeting.wait_ready(5)
        getattr(meeting.faults, fault)(sockets, 60)
        whole_again(meeting, recorder)
        ((what, error),) = recorder.of("interrupted")
        assert what == sockets
        assert "nothing was heard" in str(error)


def test_media_is_a_sign_of_life_where_keep_alives_are_missing():
    patience = Timeouts(media_silence=0.2, close=0.05)
    with (
        Simulator("empty", keep_alive=0.02) as simulator,
        Client(timeouts=patience, reconnect=QUICK) as client,
    ):
        meeting = simulator.meeting
        recorder = Recorder(client, "audio_data", *HOOKS)
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        assert meeting.wait_ready(5)
        (socket,) = meeting.connections("audio")
        meeting.faults.no_keep_alives("audio", 60)
        until, count = time.monotonic() + 2 * patience.media_silence, 0
        while time.monotonic() < until:
            meeting.send_audio(b"x")
            recorder.wait_for("audio_data", count := count + 1)
        assert meeting.connections("audio") == [socket]
        assert recorder.of("interrupted") == []


def test_garbage_is_skipped_and_told(join, meeting, client, told):
    recorder = Recorder(client, "audio_data", *HOOKS)
    join()
    for sockets in ("signaling", "audio"):
        meeting.faults.garbage(sockets, len(GARBAGE))
    meeting.send_audio(b"good")
    recorder.wait_for("audio_data")
    wait_until(lambda: set(client.skipped) == {"signaling", "audio"})
    assert recorder.payloads("audio_data") == [b"good"]
    assert recorder.of("interrupted") == []
    wait_until(lambda: len(told) == sum(client.skipped.values()))
    assert set(kinds(told)) == {"RemoteProtocolError"}


# -- media suffers ---------------------------------------------------------------------------------


def test_a_media_type_that_is_overtaken_stays_in_order(join, meeting, client):
    recorder = Recorder(client, "audio_data", "chat_data", *HOOKS)
    join(unified=True)
    meeting.faults.hold("audio", 0.05)
    for number in range(10):
        meeting.send_audio(b"%d" % number)
        meeting.send_chat(str(number))
    recorder.wait_for("audio_data", 10)
    assert recorder.payloads("audio_data") == [b"%d" % number for number in range(10)]
    assert recorder.payloads("chat_data") == [b"%d" % number for number in range(10)]
    order = [name for name, _ in recorder.calls if name.endswith("_data")]
    assert order == ["chat_data"] * 10 + ["audio_data"] * 10


@pytest.mark.parametrize(
    ("fault", "delivered"), [("duplicate", [b"0", b"0", b"1"]), ("swap", [b"1", b"0", b"2"])]
)
def test_what_zoom_sends_on_one_socket_is_delivered_as_it_comes(
    fault, delivered, join, meeting, client
):
    """Without an outage nothing is taken for a repetition: people do say things twice."""
    recorder = Recorder(client, "audio_data")
    join()
    getattr(meeting.faults, fault)("audio")
    for number in range(3):
        meeting.send_audio(b"%d" % number)
    recorder.wait_for("audio_data", 3)
    assert recorder.payloads("audio_data")[:3] == delivered


def test_audio_that_zoom_kept_leaves_no_gap(join, meeting, client):
    meeting.buffer_audio(60)
    recorder = Recorder(client, "audio_data", "media_gap", *HOOKS)
    join()
    now = 1_738_392_033_700
    meeting.send_audio(b"0", timestamp=now)
    recorder.wait_for("audio_data")
    meeting.faults.refuse("audio", 16)  # so that there is time to miss something
    meeting.faults.reset("audio")
    wait_until(lambda: not meeting.connections("audio"))
    for number in range(1, 10):
        meeting.send_audio(b"%d" % number, timestamp=now + 20 * number)
    recorder.wait_for("audio_data", 10)
    assert recorder.payloads("audio_data") == [b"%d" % number for number in range(10)]
    assert recorder.of("media_gap") == []
    assert client.stats().media["audio"].dropped == {}


# -- clients do not come in ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sockets", "status"), [("signaling", 8), ("signaling", 45), ("audio", 16), ("audio", 45)]
)
def test_a_refusal_that_passes_is_tried_again(sockets, status, join, meeting, client, told):
    recorder = Recorder(client, "audio_data", *HOOKS)
    join()
    meeting.faults.refuse(sockets, status, times=2)
    meeting.faults.reset(sockets)
    whole_again(meeting, recorder)
    assert [error.status for error in told] == [status] * 2
    assert [attempt for attempt, _ in recorder.of("reconnecting")] == [1, 2, 3]


@pytest.mark.parametrize("sockets", ["signaling", "audio"])
def test_a_refusal_that_does_not_pass_ends_the_stream(sockets, join, meeting, client):
    recorder = Recorder(client, "audio_data", *HOOKS)
    join()
    meeting.faults.refuse(sockets, 3)
    meeting.faults.reset(sockets)
    end = client.wait(10)
    assert isinstance(end.error, HandshakeRejected)
    assert end.error.status is StatusCode.INVALID_SIGNATURE
    assert recorder.of("leave") == [(3,)]
    wait_until(lambda: not meeting.connections("all_sockets"))


@pytest.mark.parametrize("sockets", ["signaling", "audio"])
@pytest.mark.parametrize(
    ("fault", "fields", "error"),
    [
        ("no_answer", {"to": "handshake"}, "JoinTimeout"),
        ("no_answer", {"to": "upgrade"}, "ConnectError"),
        ("unavailable", {}, "ConnectError"),
        ("unavailable", {"status": 500}, "ConnectError"),
    ],
    ids=["handshake", "upgrade", "503", "500"],
)
def test_a_server_that_does_not_let_us_in_is_asked_again(
    fault, fields, error, sockets, join, meeting, impatient, told
):
    recorder = Recorder(impatient, "audio_data", *HOOKS)
    join(impatient)
    getattr(meeting.faults, fault)(sockets, times=2, **fields)
    meeting.faults.reset(sockets)
    whole_again(meeting, recorder)
    assert kinds(told) == [error] * 2


@pytest.mark.parametrize("kind", ["self_signed", "expired", "other_host"])
def test_a_certificate_that_went_bad_ends_the_stream(kind):
    with Simulator("empty", tls=True) as zoom, Client(reconnect=QUICK) as client:
        recorder = Recorder(client, "audio_data", *HOOKS)
        client.join(
            zoom.meeting.payload, ca=zoom.ca, client=zoom.client_id, secret=zoom.client_secret
        )
        assert zoom.meeting.wait_ready(5)
        zoom.meeting.faults.certificate(kind)
        zoom.meeting.faults.reset("signaling")
        end = client.wait(10)
    assert isinstance(end.error, TlsError)
    assert recorder.of("leave") == [(610,)]
    assert len(recorder.of("reconnecting")) == 1


# -- Zoom says so ----------------------------------------------------------------------------------


@pytest.fixture
def told_by_webhook(client):
    """A meeting that was joined a minute ago, and what its webhooks told the client since."""
    webhooks = []

    def handle(payload):
        webhooks.append(payload["event"])
        client.notify(payload)

    server = WebhookServer(0, "/", host="127.0.0.1", settings=WebhookSettings(secret=SECRET))
    server.start(handle)
    with Simulator("empty", webhook_url=server.url, webhook_secret=SECRET) as simulator:
        recorder = Recorder(client, "audio_data", "transcript_data", *HOOKS)
        client.join(
            simulator.meeting.payload, client=simulator.client_id, secret=simulator.client_secret
        )
        client.wait_joined(5)
        assert simulator.meeting.wait_ready(5)
        client._session.recovery._connected_since -= 60
        yield simulator.meeting, recorder, webhooks
        client.leave()
    server.stop()


def handshakes(meeting):
    return sum(message["msg_type"] == 1 for message in meeting.received)


def test_an_interruption_that_only_zoom_has_noticed(told_by_webhook):
    meeting, recorder, webhooks = told_by_webhook
    before = meeting.connections("all_sockets")
    meeting.faults.interrupt()
    whole_again(meeting, recorder)
    assert not set(before) & set(meeting.connections("all_sockets"))
    # The socket that was closed to mend it makes Zoom say so once more: that is no loss.
    wait_until(lambda: webhooks == ["meeting.rtms_interrupted"] * 2)
    assert recorder.of("interrupted") == [("signaling", None)]
    assert handshakes(meeting) == 2


def test_zoom_tells_of_a_loss_that_we_know_already(told_by_webhook, client):
    meeting, recorder, webhooks = told_by_webhook
    meeting.faults.reset("signaling")
    whole_again(meeting, recorder)
    wait_until(lambda: "meeting.rtms_interrupted" in webhooks)
    # Zoom's clock may be ahead of ours.
    late = {"event": "meeting.rtms_interrupted", "event_ts": int(time.time() * 1000) + 1500}
    client.notify({**late, "payload": meeting.payload})
    wait_until(lambda: meeting.send_audio(b"x"))
    recorder.wait_for("audio_data", 2)
    assert [what for what, _ in recorder.of("interrupted")] == ["signaling"]
    assert handshakes(meeting) == 2


def test_zoom_tells_of_the_loss_of_a_worker_whose_stream_is_being_joined(client):
    """Its webhook comes to whoever takes the stream over, and is about nothing of that one."""
    with Simulator("empty") as simulator:
        meeting = simulator.meeting
        recorder = Recorder(client, "audio_data", *HOOKS)
        meeting.faults.delay("signaling", 0.1)
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        wait_until(lambda: meeting.signaling is not None)
        loss = {"event": "meeting.rtms_interrupted", "event_ts": int(time.time() * 1000) - 500}
        client.notify({**loss, "payload": meeting.payload})
        client.wait_joined(5)
        wait_until(lambda: meeting.send_audio(b"x"))
        recorder.wait_for("audio_data")
        assert recorder.of("interrupted") == []
        assert handshakes(meeting) == 1


@pytest.mark.parametrize("dies", [False, True], ids=["lives", "dies"])
def test_a_failover_is_followed(dies, told_by_webhook):
    meeting, recorder, _ = told_by_webhook
    old = meeting.server_urls
    meeting.faults.failover(dies)
    wait_until(
        lambda: [
            one
            for one in meeting.connections("signaling")
            if one.address == meeting.addresses.keys[-1]
        ]
    )
    wait_until(lambda: meeting.send_audio(b"x") and meeting.send_transcript("x"))
    recorder.wait_for("transcript_data")
    assert meeting.server_urls != old
    assert "signaling" in {what for what, _ in recorder.of("interrupted")}
    assert recorder.of("leave") == []


def test_an_end_that_is_not_reached_is_a_gap(join, meeting, impatient, monkeypatch):
    """What a server still had to send when we stopped waiting for it is not lost silently."""
    recorder = Recorder(impatient, "transcript_data", "audio_data", "media_gap", "leave")
    join(impatient)
    meeting.send_transcript("heard")
    recorder.wait_for("transcript_data")
    (connection,) = meeting.connections("transcript")
    let_go = Event()
    monkeypatch.setattr(connection._socket, "answer_close", lambda _: let_go.wait())
    stopping = gevent.spawn(meeting.stop, 6)
    impatient.wait(5)
    let_go.set()
    stopping.join()
    ((gap,),) = recorder.of("media_gap")
    assert (gap.media_type.name, gap.cause) == ("TRANSCRIPT", "the server did not finish in time")
    assert recorder.of("leave") == [(6,)]
