"""Joining: every way to say what to join, and what each failure says."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event
from support.rawserver import RawServer, hang, unused_port
from support.recorder import Recorder, wait_until
from support.streams import QUICK

from rtms_gevent import (
    AudioParams,
    Client,
    Codec,
    ConfigurationError,
    ConnectError,
    EndedBeforeJoined,
    HandshakeClosed,
    HandshakeMalformed,
    HandshakeRejected,
    JoinError,
    JoinTimeout,
    MediaDataType,
    MediaNotOffered,
    NotJoinedError,
    Product,
    ServerUrlError,
    StatusCode,
    Timeouts,
    TlsError,
    UsageError,
    VideoParams,
    signals,
)
from rtms_gevent.simulator import Simulator


class TestWhatToJoin:
    def keywords(self, meeting):
        return (), meeting.payload

    def payload(self, meeting):
        return (meeting.payload,), {}

    def event(self, meeting):
        return (meeting.started_event,), {}

    def nested(self, meeting):
        payload = {"account_id": "abc", "object": meeting.payload}
        return ({**meeting.started_event, "payload": payload},), {}

    def positional(self, meeting):
        return (meeting.uuid, None, None, None, meeting.stream_id, meeting.server_urls), {}

    def keywords_win(self, meeting):
        stale = {**meeting.payload, "server_urls": "wss://example.zoom.us"}
        return (stale,), {"server_urls": meeting.server_urls}

    def comma_list(self, meeting):
        urls = f"ws://127.0.0.1:{unused_port()},{meeting.server_urls}"
        return ({**meeting.payload, "server_urls": urls},), {}

    @pytest.mark.parametrize(
        "shape",
        ["keywords", "payload", "event", "nested", "positional", "keywords_win", "comma_list"],
    )
    def test_shapes(self, shape, simulator, meeting, client):
        arguments, options = getattr(self, shape)(meeting)
        client.on_transcript_data(print)
        credentials = {"client": simulator.client_id, "secret": simulator.client_secret}
        assert client.join(*arguments, **options, **credentials) is True
        client.wait_joined()
        assert client.is_joined
        assert client.stream_id() == meeting.stream_id
        assert client.uuid() == meeting.uuid
        assert client.product is Product.MEETING

    @pytest.mark.parametrize("product", list(Product))
    def test_products(self, product, simulator, join, client):
        client.on_audio_data(print)
        join(meeting=simulator.add_meeting(product=product))
        assert client.product is product

    def test_a_webinar_that_travels_as_meeting(self, client):
        fields = {"meeting_uuid": "u", "rtms_stream_id": "s", "server_urls": "ws://127.0.0.1:1"}
        client.join({"event": "webinar.rtms_started", "payload": fields}, signature="x")
        assert client.product is Product.WEBINAR
        assert client._request.identity.fields["meeting_uuid"] == "u"

    def test_a_parsed_webhook(self, simulator, meeting, client):
        from rtms_gevent.webhook import parse_event

        event = parse_event(meeting.started_event)
        client.on_chat_data(print)
        client.join(event, client=simulator.client_id, secret=simulator.client_secret)
        client.wait_joined()

    def test_it_returns_before_anything_happens(self, meeting, client):
        confirmed = Recorder(client, "join_confirm")
        client.join(meeting.payload, client="a", secret="b")
        assert not confirmed.calls
        assert not client.is_joined


class TestCredentials:
    def test_environment(self, monkeypatch, simulator, meeting, client):
        monkeypatch.setenv("ZM_RTMS_CLIENT", simulator.client_id)
        monkeypatch.setenv("ZM_RTMS_SECRET", simulator.client_secret)
        client.on_audio_data(print)
        client.join(meeting.payload)
        client.wait_joined()

    def test_explicit_ones_win(self, monkeypatch, join, client):
        monkeypatch.setenv("ZM_RTMS_CLIENT", "wrong")
        monkeypatch.setenv("ZM_RTMS_SECRET", "wrong")
        client.on_audio_data(print)
        join()

    def test_a_signature_needs_none(self, simulator, meeting, client):
        import hashlib
        import hmac

        text = f"{simulator.client_id},{meeting.uuid},{meeting.stream_id}"
        signature = hmac.new(simulator.client_secret.encode(), text.encode(), hashlib.sha256)
        client.on_audio_data(print)
        client.join(meeting.payload, signature=signature.hexdigest())
        client.wait_joined()


GOOD = {"meeting_uuid": "u", "rtms_stream_id": "s", "server_urls": "ws://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"meeting_uuid": None}, ConfigurationError, "pass one of meeting_uuid, webinar_uuid"),
        ({"meeting_uuid": ""}, ConfigurationError, "no id of the meeting"),
        ({"rtms_stream_id": None}, ConfigurationError, "rtms_stream_id must be a string"),
        ({"rtms_stream_id": 7}, ConfigurationError, "rtms_stream_id must be a string"),
        ({"webinar_uuid": 7, "meeting_uuid": None}, ConfigurationError, "webinar_uuid must be"),
        ({"server_urls": None}, ServerUrlError, "server_urls is missing"),
        ({"server_urls": "wss://evil.example"}, ServerUrlError, "evil.example' is not allowed"),
        ({"server_urls": "ws://zoom.us"}, ServerUrlError, "only wss"),
        ({"timeout": "1"}, ConfigurationError, "timeout must be milliseconds, not str"),
        ({"timeout": -2}, ConfigurationError, "timeout must be -1"),
        ({"timeuot": 5}, ConfigurationError, "is 'timeout' meant"),
        ({"ca": "/no/such/file.pem"}, ConfigurationError, "CA file"),
        ({"secret": None}, ConfigurationError, "ZM_RTMS_SECRET"),
        ({"client": None}, ConfigurationError, "ZM_RTMS_CLIENT"),
    ],
)
def test_wrong_arguments_raise_at_once(change, error, text, client):
    with pytest.raises(error, match=text):
        client.join(**{**GOOD, "client": "c", "secret": "s", **change})
    with pytest.raises(NotJoinedError):
        client.wait_joined()


def test_something_else_altogether(client):
    with pytest.raises(ConfigurationError, match="not int"):
        client.join(5)


@pytest.mark.parametrize(
    "smuggled",
    [
        {"allowed_hosts": "evil.example"},
        {"ca": "/tmp/evil.pem"},
        {"client": "x", "secret": "y"},
        {"signature": "z"},
        {"id_field": "evil"},
        {"buffer_data": False},
        {"unified": True},
        {"timeout": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", ["payload", "event", "nested"])
def test_a_payload_names_the_stream_and_chooses_nothing_else(shape, smuggled, client):
    """Whoever can send a webhook must not choose whom we trust, or who we are."""
    fields = {**GOOD, "server_urls": "wss://evil.example", **smuggled}
    given = {
        "payload": fields,
        "event": {"event": "meeting.rtms_started", "payload": fields},
        "nested": {"event": "meeting.rtms_started", "payload": {"object": fields}},
    }[shape]
    with pytest.raises(ServerUrlError, match="not allowed"):
        client.join(given, client="c", secret="s")
    with pytest.raises(ConfigurationError, match="ZM_RTMS_CLIENT"):
        client.join({**fields, "server_urls": GOOD["server_urls"]})


def test_other_fields_of_a_payload_are_ignored(client):
    client.join(**GOOD, operator_id="x", session_key="y", client="c", secret="s")


def test_parameters_are_taken_as_they_are_when_set(join, meeting, client):
    params = AudioParams(codec=Codec.L16)
    client.set_audio_params(params)
    params.codec = Codec.G711
    client.on_audio_data(print)
    join()
    assert client.negotiated["audio"]["codec"] == Codec.L16


def test_a_joined_client_joins_no_second_stream(simulator, join, client):
    client.on_audio_data(print)
    join()
    with pytest.raises(UsageError, match="joined already"):
        client.join(simulator.add_meeting().payload, client="c", secret="s")


def test_a_client_joins_again_after_it_left(simulator, join, client):
    recorder = Recorder(client, "audio_data", "join_confirm")
    join()
    client.leave()
    second = simulator.add_meeting()
    join(meeting=second)
    second.send_audio(b"again")
    assert recorder.wait_for("audio_data")[0][0] == b"again"
    assert recorder.of("join_confirm") == [(0,), (0,)]


def failing_join(client, target, /, **options):
    """Join, wait for the failure, and return the error, what was confirmed, and what was told."""
    recorder = Recorder(client, "join_confirm", "leave")
    errors = []

    def keep(sender, error, **extra):
        errors.append(error)

    with signals.error.connected_to(keep, sender=client):
        client.on_audio_data(print)
        client.join(target, **{"client": "c", "secret": "s", **options})
        with pytest.raises(JoinError) as caught:
            client.wait_joined(20)
        reason = client.wait(5)
    assert reason.error is caught.value
    assert not reason.was_joined
    assert recorder.calls == [("join_confirm", (caught.value.reason,))]
    # What may pass is tried three times.
    assert [type(error) for error in errors] == [type(caught.value)] * len(errors)
    assert errors[-1] is caught.value
    return caught.value


class TestRefusals:
    """What the server refuses comes as its status, with cause and remedy."""

    def test_wrong_secret(self, simulator, meeting, client):
        error = failing_join(client, meeting.payload, client=simulator.client_id, secret="wrong")
        assert isinstance(error, HandshakeRejected)
        assert error.status is StatusCode.INVALID_SIGNATURE
        assert "ZM_RTMS_SECRET" in str(error)
        assert "wrong" not in str(error)

    def test_wrong_uuid(self, simulator, meeting, client):
        payload = {**meeting.payload, "meeting_uuid": "another"}
        credentials = {"client": simulator.client_id, "secret": simulator.client_secret}
        error = failing_join(client, payload, **credentials)
        assert isinstance(error, HandshakeRejected)
        assert error.phase == "signaling"

    def test_a_second_connection(self, simulator, join, client):
        client.on_audio_data(print)
        join()
        with Client(reconnect=QUICK) as second:
            credentials = {"client": simulator.client_id, "secret": simulator.client_secret}
            error = failing_join(second, simulator.meeting.payload, **credentials)
        assert error.status is StatusCode.DUPLICATE_SIGNAL_REQUEST
        assert client.is_joined

    def test_media_that_the_app_may_not_have(self, simulator, meeting, client):
        meeting.offered = frozenset({MediaDataType.AUDIO})
        meeting.addresses.media_urls = {"audio": meeting.media_urls["audio"]}
        client.on_video_data(print)
        told = Event()
        signals.error.connect(lambda sender, error, **_: told.set(), sender=client, weak=False)
        credentials = {"client": simulator.client_id, "secret": simulator.client_secret}
        client.on_audio_data(print)
        client.join(meeting.payload, **credentials)
        client.wait_joined()  # with the audio that is offered, and not silently without video
        assert told.wait(5)

    def test_no_media_that_was_asked_for(self, simulator, meeting, client):
        meeting.addresses.media_urls = {"transcript": meeting.media_urls["transcript"]}
        credentials = {"client": simulator.client_id, "secret": simulator.client_secret}
        error = failing_join(client, meeting.payload, **credentials)
        assert isinstance(error, MediaNotOffered)
        assert error.wanted == ("audio",)
        assert "scopes" in str(error)


def signaling(answer):
    """A script that answers the signaling handshake with ``answer(peer)``."""

    def script(peer):
        peer.upgrade()
        peer.receive_json()
        answer(peer)

    return script


def close_at_once(peer):
    peer.upgrade()
    peer.close(1000)
    peer.receive_close()


class TestBrokenServers:
    """A server that does something else than answering."""

    @pytest.mark.parametrize(
        ("script", "kind", "reason", "text"),
        [
            (signaling(lambda peer: peer.close(1000)), HandshakeClosed, 960, "client secret"),
            (signaling(lambda peer: None), HandshakeClosed, 960, "without a close frame"),
            (signaling(lambda peer: peer.reset()), HandshakeClosed, 960, "without a close frame"),
            (
                signaling(lambda peer: peer.send_json({"msg_type": 2, "status_code": 0})),
                HandshakeMalformed,
                6,
                "no media server",
            ),
            (
                signaling(
                    lambda peer: peer.send_json(
                        {
                            "msg_type": 2,
                            "status_code": 0,
                            "media_server": {"server_urls": {"audio": "wss://evil.example"}},
                        }
                    )
                ),
                HandshakeMalformed,
                6,
                "not allowed",
            ),
            (
                signaling(lambda peer: peer.send_json({"msg_type": 2})),
                HandshakeMalformed,
                6,
                "no status_code",
            ),
            (
                signaling(lambda peer: peer.send_json({"msg_type": 2, "status_code": 999})),
                HandshakeRejected,
                999,
                "newer than this package",
            ),
            (close_at_once, HandshakeClosed, 960, "code 1000"),
            (
                signaling(lambda peer: peer.sock.sendall(b"\x82\x7f" + (10**8).to_bytes(8, "big"))),
                HandshakeMalformed,
                6,
                "message of 100000000 bytes",
            ),
            (lambda peer: peer.read_request() and None, ConnectError, 1, "closed the connection"),
        ],
        ids=[
            "1000",
            "fin",
            "reset",
            "no urls",
            "evil url",
            "no status",
            "new status",
            "at once",
            "big",
            "no upgrade",
        ],
    )
    def test_answers(self, script, kind, reason, text, client):
        with RawServer(script) as server:
            error = failing_join(client, {**GOOD, "server_urls": server.url()})
        assert isinstance(error, kind)
        assert error.reason == reason
        assert text in str(error)

    def test_nobody_listens(self, client):
        error = failing_join(client, {**GOOD, "server_urls": f"ws://127.0.0.1:{unused_port()}"})
        assert isinstance(error, ConnectError)
        assert error.reason == 1

    def test_a_certificate_that_is_not_trusted(self, client):
        with Simulator("empty", tls=True, host="localhost") as simulator:
            error = failing_join(client, simulator.meeting.payload)
        assert isinstance(error, TlsError)
        assert error.reason == 610

    def test_garbage_before_the_answer_is_skipped(self, simulator, meeting):
        """A good answer after bad messages still joins."""

        def answer(peer):
            for bad in (b"no json", b"[]", b"{}", b'{"msg_type": 4, "status_code": 0}', b"\xff"):
                peer.send(1, bad)
            peer.send_json({"msg_type": 14, "content": {}})
            peer.send_json(
                {
                    "msg_type": 2,
                    "status_code": 0,
                    "media_server": {"server_urls": {"all": meeting.media_urls["all"]}},
                }
            )
            hang(peer)

        with RawServer(signaling(answer)) as server, Client() as client:
            client.join(**{**GOOD, "server_urls": server.url()}, client="c", secret="s")
            client.wait_joined()  # nothing is wanted but events
            assert client.skipped["signaling"] == 5

    def test_no_answer(self):
        with (
            RawServer(hang) as server,
            Client(timeouts=Timeouts(connect=0.1), reconnect=QUICK) as client,
        ):
            error = failing_join(client, {**GOOD, "server_urls": server.url()})
        assert isinstance(error, ConnectError)
        assert "no answer within 0.1 s" in str(error)

    def test_no_answer_to_the_handshake(self):
        script = signaling(hang)
        with (
            RawServer(script) as server,
            Client(timeouts=Timeouts(handshake=0.1, close=0.1), reconnect=QUICK) as client,
        ):
            error = failing_join(client, {**GOOD, "server_urls": server.url()})
        assert isinstance(error, JoinTimeout)
        assert "the answer to the signaling handshake" in str(error)

    def test_the_whole_of_joining_has_a_limit(self, client):
        with RawServer(signaling(hang)) as server:
            error = failing_join(client, {**GOOD, "server_urls": server.url()}, timeout=100)
        assert isinstance(error, JoinTimeout)
        assert error.seconds == pytest.approx(0.1, abs=0.05)


def test_one_refused_media_socket_ends_joining_and_closes_the_others(simulator, meeting, client):
    client.on_audio_data(print)
    client.on_video_data(print)
    meeting.media_urls["video"] = f"ws://127.0.0.1:{unused_port()}/"
    client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
    with pytest.raises(ConnectError):
        client.wait_joined()
    client.wait(5)
    wait_until(lambda: not meeting.connections("all_sockets"))


def joining_error(client):
    with pytest.raises(JoinError) as caught:
        client.wait_joined()
    return caught.value


def test_leaving_while_joining_ends_it_at_once(client):
    entered = Event()

    def answer(peer):
        entered.set()
        hang(peer)

    with RawServer(signaling(answer)) as server:
        recorder = Recorder(client, "join_confirm", "leave")
        client.join(**{**GOOD, "server_urls": server.url()}, client="c", secret="s")
        waiting = gevent.spawn(joining_error, client)
        assert entered.wait(5)
        client.leave()
        assert isinstance(waiting.get(timeout=5), EndedBeforeJoined)
    assert recorder.calls == []
    assert client.wait(0).by_us


def test_wait_joined_can_give_up_and_joining_goes_on(simulator, meeting, client):
    go = Event()

    def answer(peer):
        go.wait()
        peer.send_json(
            {
                "msg_type": 2,
                "status_code": 0,
                "media_server": {"server_urls": {"all": meeting.media_urls["all"]}},
            }
        )
        hang(peer)

    with RawServer(signaling(answer)) as server:
        client.join(**{**GOOD, "server_urls": server.url()}, client="c", secret="s")
        with pytest.raises(JoinTimeout, match="which goes on"):
            client.wait_joined(0.01)
        go.set()
        client.wait_joined(5)


def test_the_default_parameters_are_the_official_ones(join, meeting, client):
    for name in ("audio", "video", "deskshare", "transcript"):
        getattr(client, f"on_{name}_data")(print)
    join()
    asked = {
        message["media_type"]: message.get("media_params")
        for message in meeting.received
        if message["msg_type"] == 3
    }
    assert asked == {
        1: {
            "audio": {
                "content_type": 2,
                "codec": 4,
                "sample_rate": 3,
                "channel": 2,
                "data_opt": 2,
                "send_rate": 20,
            }
        },
        2: {"video": {"content_type": 3, "codec": 7, "resolution": 2, "data_opt": 3, "fps": 30}},
        4: {"deskshare": {"content_type": 3, "codec": 7, "resolution": 2, "fps": 30}},
        8: None,
    }
    assert client.negotiated["video"]["fps"] == 30


def test_unified_opens_one_socket_for_all(join, meeting, client):
    recorder = Recorder(client, "audio_data", "chat_data")
    join(unified=True)
    (connection,) = meeting.connections("media")
    assert connection.role == "all"
    meeting.send_audio(b"a")
    meeting.send_chat("c")
    recorder.wait_for("chat_data")
    recorder.wait_for("audio_data")


def test_buffered_audio_can_be_refused(join, meeting, client):
    client.on_audio_data(print)
    join(buffer_data=False)
    (request,) = [message for message in meeting.received if message["msg_type"] == 1]
    assert request["buffer_data"] is False


def test_video_params_go_out_as_set(join, meeting, client):
    client.on_video_data(print)
    client.set_video_params(VideoParams(codec=Codec.JPG, fps=5))
    join()
    assert client.negotiated["video"]["codec"] == Codec.JPG


class TestTryingAgain:
    """Joining is tried three times, where the failure may pass."""

    def count_attempts(self, status, client, *, succeeds_at=99):
        connections = []

        def script(peer):
            peer.upgrade()
            peer.receive_json()
            connections.append(peer)
            answer = 0 if len(connections) == succeeds_at else status
            peer.send_json({"msg_type": 2, "status_code": answer, "media_server": {}})
            peer.receive_close()
            peer.close()

        with RawServer(script) as server:
            client.join(**{**GOOD, "server_urls": server.url()}, client="c", secret="s")
            if succeeds_at <= 3:
                client.wait_joined(10)
                client.leave()
            else:
                assert joining_error(client).status == status
        return len(connections)

    @pytest.mark.parametrize(("status", "attempts"), [(8, 3), (45, 3), (3, 1), (2, 1)])
    def test_refusals(self, status, attempts, client):
        assert self.count_attempts(status, client) == attempts

    def test_a_server_that_takes_us_at_last(self, client):
        assert self.count_attempts(8, client, succeeds_at=3) == 3

    def test_an_address_from_a_later_webhook_counts(self, simulator, meeting, client):
        """The first server is gone, and a second start names another, while we try."""
        client.on_audio_data(print)
        dead = {**meeting.payload, "server_urls": f"ws://127.0.0.1:{unused_port()}"}
        tried = Event()
        with signals.error.connected_to(lambda *_, **__: tried.set(), sender=client):
            client.join(dead, client=simulator.client_id, secret=simulator.client_secret)
            assert tried.wait(5)
            client.notify(meeting.started_event)
            client.wait_joined(5)
