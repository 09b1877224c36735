"""Tables and inboxes that a hostile server cannot fill without end."""

from __future__ import annotations

import json
import sys

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent import Client
from rtms_gevent.backlog import Backlog, DropRules
from rtms_gevent.bounded import BoundedTable, footprint
from rtms_gevent.config import Inboxes, InboxLimits
from rtms_gevent.enums import Product
from rtms_gevent.protocol.messages import (
    EventUpdate,
    MediaHandshakeResponse,
    SessionStateUpdate,
)
from rtms_gevent.reports import Reports
from rtms_gevent.simulator import Simulator


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40), st.booleans())))
def test_the_oldest_go(steps):
    table, expected, gone = BoundedTable(4, 100), {}, 0
    for key, size, keeps in steps:
        expected.pop(key, None)
        if keeps:
            table.remember(key, size, size)
            expected[key] = size
            while len(expected) > 1 and (len(expected) > 4 or sum(expected.values()) > 100):
                del expected[next(iter(expected))]
                gone += 1
        else:
            table.forget(key)
        assert list(table.items()) == list(expected.items())
    assert table.forgotten == gone


def test_one_that_is_too_large_is_kept_alone():
    table = BoundedTable(4, 100)
    table.remember(1, "a", 10)
    table.remember(2, "b", 1000)
    assert dict(table) == {2: "b"}


def test_the_footprint_of_a_document():
    assert footprint({"a": ["b" * 1000, 1, None]}) > 1000 + sys.getsizeof({}) + sys.getsizeof([])
    deep = json.loads("[" * 900 + "]" * 900)
    assert footprint(deep) > 900 * sys.getsizeof([])


def event(number, **more):
    document = {"event": {"event_type": number, "timestamp": 1, **more}, "msg_type": 6}
    return EventUpdate.from_wire(document, Product.MEETING)


class TestReports:
    def test_participants_without_end(self):
        reports = Reports("s", "m")
        for number in range(1, 30_001):
            people = [{"user_id": number, "user_name": "n" * 100}]
            for _ in reports.of_event(event(3, participants=people)):
                pass
        assert len(reports._names) == 10_000
        assert reports.forgotten == 20_000
        # The newest are known.
        (*_, told) = [
            notice
            for notice in reports.of_event(event(2, user_id=30_000))
            if notice.name == "active_speaker_event"
        ]
        assert told.arguments[2] == "n" * 100

    def test_large_names(self):
        reports = Reports("s", "m")
        for number in range(1, 2001):
            people = [{"user_id": number, "user_name": "n" * 10_000}]
            for _ in reports.of_event(event(3, participants=people)):
                pass
        assert sum(map(len, reports._names.values())) <= 4 * 1024 * 1024

    def test_channels_without_end(self):
        reports = Reports("s", "m")
        for number in range(30_000):
            for _ in reports.of_event(
                EventUpdate.from_wire(
                    {
                        "msg_type": 6,
                        "event": {
                            "event_type": 8,
                            "timestamp": 1,
                            "participant_info": {
                                "channel_id": f"channel {number}",
                                "display_name": "Ana",
                            },
                        },
                    },
                    Product.CONTACT_CENTER,
                )
            ):
                pass
        assert 0 < len(reports._channels) <= 10_000

    def test_sessions_without_end(self):
        reports = Reports("s", "m")
        for number in range(30_000):
            message = {"msg_type": 9, "state": 2, "rtms_session_id": str(number), "timestamp": 1}
            for _ in reports.of_session_state(
                SessionStateUpdate.from_wire(message, Product.MEETING)
            ):
                pass
        assert 0 < len(reports._sessions) <= 10_000


def test_sources_that_must_begin_anew():
    rules = DropRules(begins_anew=lambda item: False, source=lambda item: item)
    backlog = Backlog(InboxLimits(packets=1), rules)
    for number in range(30_000):
        backlog.add([number], 0)
    assert len(backlog._broken) <= 10_000


def test_events_behind_a_blocked_callback_are_bounded_by_bytes(simulator, meeting):
    """The stream ends with an error that says so, and what had come is delivered."""
    go, got = gevent.event.Event(), []
    limits = Inboxes(
        events=InboxLimits(packets=100_000, size=1_000_000, when_full=Inboxes().events.when_full)
    )
    with Client(inboxes=limits) as client:

        @client.on_event_ex
        def blocked(text):
            got.append(text)
            go.wait()

        client.join(
            meeting.payload,
            client=simulator.client_id,
            secret=simulator.client_secret,
            allowed_hosts="127.0.0.1",
        )
        client.wait_joined(5)
        sent = 0
        with gevent.Timeout(20):
            while client._session.end is None:
                sent += meeting.send_event(
                    {"event_type": 99, "timestamp": 1, "x": "y" * 100_000}, to_all=True
                )
                gevent.sleep(0.001)
        assert len(client._dispatcher._events.items) < 20
        go.set()
        reason = client.wait(10)
    assert client.stream_id()[:12] in str(reason.error)
    assert "inbox for events is full" in str(reason.error)
    assert 5 < len(got) <= sent


def test_media_params_of_ever_new_names_are_not_kept(simulator, meeting, monkeypatch):
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
        client.join(
            meeting.payload,
            client=simulator.client_id,
            secret=simulator.client_secret,
            allowed_hosts="127.0.0.1",
        )
        client.wait_joined(5)
        assert next(count) > 0
        assert set(client._session.negotiated) == {"audio"}


@pytest.fixture
def simulator():
    with Simulator("empty") as running:
        yield running


@pytest.fixture
def meeting(simulator):
    return simulator.meeting
