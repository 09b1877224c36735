"""Tables that a hostile server cannot fill without end."""

from __future__ import annotations

import json
import sys

from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent.enums import Product
from rtms_gevent.protocol.bounded import BoundedTable, footprint
from rtms_gevent.protocol.events import EventTranslator
from rtms_gevent.protocol.messages import EventUpdate, SessionStateUpdate


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
        translator = EventTranslator("s", "m")
        for number in range(1, 30_001):
            people = [{"user_id": number, "user_name": "n" * 100}]
            for _ in translator.from_event_update(event(3, participants=people)):
                pass
        assert len(translator._names) == 10_000
        assert translator.forgotten == 20_000
        # The newest are known.
        (*_, reported) = [
            event
            for event in translator.from_event_update(event(2, user_id=30_000))
            if event.name == "active_speaker_event"
        ]
        assert reported.arguments[2] == "n" * 100

    def test_large_names(self):
        translator = EventTranslator("s", "m")
        for number in range(1, 2001):
            people = [{"user_id": number, "user_name": "n" * 10_000}]
            for _ in translator.from_event_update(event(3, participants=people)):
                pass
        assert sum(map(len, translator._names.values())) <= 4 * 1024 * 1024

    def test_channels_without_end(self):
        translator = EventTranslator("s", "m")
        for number in range(30_000):
            for _ in translator.from_event_update(
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
        assert 0 < len(translator._channels) <= 10_000

    def test_sessions_without_end(self):
        translator = EventTranslator("s", "m")
        for number in range(30_000):
            message = {"msg_type": 9, "state": 2, "rtms_session_id": str(number), "timestamp": 1}
            for _ in translator.from_session_state(
                SessionStateUpdate.from_wire(message, Product.MEETING)
            ):
                pass
        assert 0 < len(translator._sessions) <= 10_000
