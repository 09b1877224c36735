"""What a client hears of events and states, without a socket."""

from __future__ import annotations

import pytest

from rtms_gevent.enums import Product
from rtms_gevent.simulator.meeting.announcer import StateAnnouncer
from rtms_gevent.simulator.meeting.identity import Identity
from rtms_gevent.simulator.meeting.sockets import OpenSockets


class Signaling:
    """A signaling socket that keeps what is sent on it."""

    def __init__(self, *subscriptions):
        self.subscriptions = set(subscriptions)
        self.messages = []
        self.is_open = True

    def send(self, message):
        self.messages.append(message)
        return self.is_open


def announcer(product=Product.MEETING, signaling=None):
    sockets = OpenSockets()
    sockets.signaling = signaling
    return StateAnnouncer(Identity.new(product), sockets)


@pytest.mark.parametrize(
    ("product", "event", "sent"),
    [
        (Product.MEETING, {"event_type": 2, "timestamp": 5}, {"event_type": 2, "timestamp": 5}),
        (Product.PHONE, {"event_type": 2, "timestamp": 5}, {"event_code": 2, "timestamp": 5}),
        (Product.PHONE, {"event_code": 2, "timestamp": 5}, {"event_code": 2, "timestamp": 5}),
        (Product.CONTACT_CENTER, {"event_type": 8, "event_ts": 5}, None),
    ],
)
def test_events_go_to_who_has_subscribed_to_them(product, event, sent):
    signaling = Signaling(2)
    one = announcer(product, signaling)
    assert one.send_event(event) is (sent is not None)
    assert one.events_sent == ([] if sent is None else [sent])
    assert signaling.messages == [{"msg_type": 6, "event": sent} for sent in one.events_sent]


@pytest.mark.parametrize(
    ("product", "number", "name"),
    [
        (Product.MEETING, 2, "timestamp"),
        (Product.MEETING, 8, "timestamp"),
        (Product.CONTACT_CENTER, 2, "timestamp"),
        (Product.CONTACT_CENTER, 8, "event_ts"),
    ],
)
def test_events_get_a_time(product, number, name):
    one = announcer(product, Signaling(number))
    assert one.send_event({"event_type": number})
    assert set(one.events_sent[0]) == {"event_type", name}


@pytest.mark.parametrize(
    ("number", "to_all", "is_sent"), [(7, 0, 1), (1, 0, 1), (3, 0, 0), (3, 1, 1)]
)
def test_events_that_need_no_subscription(number, to_all, is_sent):
    one = announcer(signaling=Signaling())
    assert one.send_event({"event_type": number}, to_all=bool(to_all)) is bool(is_sent)


def test_what_nobody_got_was_not_sent():
    signaling = Signaling(2)
    signaling.is_open = False
    assert not announcer(signaling=signaling).send_event({"event_type": 2})
    one = announcer()
    assert not one.send_event({"event_type": 2}, to_all=True)
    assert one.events_sent == []


@pytest.mark.parametrize(
    ("state", "reason", "sent"),
    [(2, None, None), (2, 3, 3), (5, None, 0), (5, 6, 6), (77, None, None)],
)
def test_a_stopped_session_has_a_reason(state, reason, sent):
    signaling = Signaling()
    one = announcer(signaling=signaling)
    assert one.set_session_state(state, reason)
    assert one.session_state == state
    (message,) = signaling.messages
    assert (message["msg_type"], message["state"], message.get("stop_reason")) == (9, state, sent)


def test_states_are_known_without_a_client():
    one = announcer()
    assert not one.set_session_state(2)
    assert not one.set_stream_state(1, 0)
    assert (one.session_state, one.stream_state) == (2, 1)


def test_the_first_packet_is_announced_once_per_client():
    signaling = Signaling()
    one = announcer(signaling=signaling)
    for timestamp in (1, 2):
        one.before_packet(timestamp)
    one.expect_first_packet()
    one.before_packet(3)
    assert [message["event"]["timestamp"] for message in signaling.messages] == [1, 3]
