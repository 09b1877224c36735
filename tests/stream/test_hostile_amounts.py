"""What a hostile server sends without end takes no memory without end."""

from __future__ import annotations

import gevent
from gevent.event import Event

from rtms_gevent import Client
from rtms_gevent.config import Inboxes, InboxLimits
from rtms_gevent.protocol.messages import MediaHandshakeResponse


def test_events_behind_a_blocked_callback_are_bounded_by_bytes(join, meeting):
    """The stream ends with an error that says so, and what had come is delivered."""
    go, got = Event(), []
    limits = Inboxes(
        events=InboxLimits(packets=100_000, size=1_000_000, when_full=Inboxes().events.when_full)
    )
    with Client(inboxes=limits) as client:

        @client.on_event_ex
        def blocked(text):
            got.append(text)
            go.wait()

        join(client)
        sent = 0
        with gevent.Timeout(20):
            while client._session.end is None:
                sent += meeting.send_event(
                    {"event_type": 99, "timestamp": 1, "x": "y" * 100_000}, to_all=True
                )
                gevent.sleep(0.001)
        assert len(client._session.dispatcher._events.items) < 20
        go.set()
        reason = client.wait(10)
    assert client.stream_id()[:12] in str(reason.error)
    assert "inbox for events is full" in str(reason.error)
    assert 5 < len(got) <= sent


def test_media_params_of_ever_new_names_are_not_kept(join, monkeypatch):
    real = MediaHandshakeResponse.from_wire.__func__
    count = iter(range(1000))

    def hostile(cls, document, product):
        answer = real(cls, document, product)
        params = {**answer.media_params, f"new {next(count)}": {"x": "y" * 1000}}
        object.__setattr__(answer, "media_params", params)
        return answer

    monkeypatch.setattr(MediaHandshakeResponse, "from_wire", classmethod(hostile))
    with Client() as client:
        client.on_audio_data(lambda *_: None)
        join(client)
        assert next(count) > 0
        assert set(client.negotiated) == {"audio"}
