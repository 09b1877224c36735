"""Messages of one media type, without a socket: numbers, faults, and what is kept."""

from __future__ import annotations

import pytest
from gevent.pool import Group

from rtms_gevent.enums import MediaDataType
from rtms_gevent.simulator.meeting.media_queue import MediaQueue

PARAMS = {"codec": 1}


class Socket:
    """Takes messages, or is broken."""

    number = 7
    has_carried = False

    def __init__(self):
        self.messages = []
        self.is_broken = False

    def send(self, message):
        if not self.is_broken:
            self.messages.append(message["content"]["timestamp"])
        return not self.is_broken


class Sockets:
    """The sockets of a client: one, or none."""

    socket = None

    def carrying(self, kind):
        assert kind is MediaDataType.AUDIO
        return self.socket


class Announcer:
    """Notes what it is asked to tell the first packet of."""

    def __init__(self):
        self.packets = []

    def before_packet(self, timestamp):
        self.packets.append(timestamp)


class Queue:
    """A queue and all that is around it; audio of n is sent at n ms."""

    def __init__(self):
        self.sockets, self.announcer, self.greenlets = Sockets(), Announcer(), Group()
        self.queue = MediaQueue(
            MediaDataType.AUDIO,
            self.sockets,
            self.announcer,
            self.greenlets,
            stamp=False,
            record=True,
        )

    def connect(self, wants_start=True):
        self.sockets.socket = Socket()
        self.queue.opened(PARAMS, wants_start=wants_start)
        self.greenlets.join(5)

    def disconnect(self):
        self.sockets.socket = None

    def send(self, *timestamps):
        return [self.queue.send({"timestamp": one}, b"x") for one in timestamps]

    @property
    def got(self):
        return self.sockets.socket.messages


@pytest.fixture
def queue():
    return Queue()


def test_what_nobody_asked_for_has_no_number(queue):
    assert queue.send(1) == [False]
    queue.connect()
    assert queue.send(2, 3) == [True, True]
    assert queue.got == queue.announcer.packets == [2, 3]
    sent = queue.queue.sent
    assert (sent.messages, sent.bytes, sent.payloads) == (2, 2, [b"x", b"x"])
    assert list(sent.sockets) == [7, 7]


def test_what_has_no_socket_has_a_number(queue):
    queue.connect()
    queue.disconnect()
    assert queue.send(1, 2) == [False, False]
    queue.connect()
    assert queue.send(3) == [True]
    assert queue.queue.sent.lost == [1, 2]


def test_a_broken_socket_takes_nothing(queue):
    queue.connect()
    queue.sockets.socket.is_broken = True
    assert queue.send(1) == [False]
    assert queue.queue.sent.lost == [1]
    assert not queue.sockets.socket.has_carried


def test_messages_come_twice(queue):
    queue.connect()
    queue.queue.duplicate(2)
    queue.send(1, 2, 3)
    assert queue.got == [1, 1, 2, 2, 3]


def test_messages_overtake_each_other(queue):
    queue.connect()
    queue.queue.swap(2)
    assert queue.send(1, 2, 3, 4, 5) == [True] * 5
    assert queue.got == [2, 1, 4, 3, 5]


def test_what_waits_to_be_overtaken_is_sent_at_the_end(queue):
    queue.connect()
    queue.queue.swap(1)
    queue.send(1)
    assert queue.got == []
    queue.queue.finish()
    assert queue.got == [1]


def test_what_is_held_is_sent_at_the_end(queue):
    queue.connect()
    queue.queue.hold(600)
    assert queue.send(1, 2) == [False, False]
    queue.queue.finish()
    assert queue.got == [1, 2]
    assert queue.queue.sent.lost == []


def test_what_is_kept_is_sent_first(queue):
    queue.queue.buffer_seconds = 1
    queue.connect()
    queue.disconnect()
    queue.send(1000, 1999, 2001, 3000)
    queue.connect()
    queue.send(3020)
    assert queue.got == [2001, 3000, 3020]
    assert queue.queue.sent.lost == [1, 2]


@pytest.mark.parametrize(("wants_start", "got"), [(True, [1, 2]), (False, [2])])
def test_what_came_before_anyone_was_ready(queue, wants_start, got):
    queue.queue.buffer_seconds = 60
    queue.send(1)
    queue.connect(wants_start)
    queue.send(2)
    assert queue.got == got


def test_who_comes_next_has_asked_for_nothing(queue):
    queue.queue.buffer_seconds = 60
    queue.connect()
    queue.disconnect()
    queue.send(1)
    queue.queue.reset()
    queue.queue.buffer_seconds = 0
    assert queue.send(2) == [False]
    queue.connect()
    queue.send(3)
    assert queue.got == [3]
    assert queue.queue.sent.lost == [1]


def test_a_client_that_leaves_while_it_gets_what_was_kept(queue):
    queue.queue.buffer_seconds = 60
    queue.send(1, 2)
    queue.sockets.socket = socket = Socket()
    take = socket.send
    socket.send = lambda message: (queue.queue.reset(), take(message))[1]
    queue.queue.opened(PARAMS, wants_start=True)
    (flusher,) = queue.greenlets
    flusher.get(timeout=5)
    assert queue.got == [1]
    assert queue.queue.params is None
