"""Who connects to a signal is called, for as long as can be expected."""

from __future__ import annotations

import gc
import weakref
from unittest import mock

import pytest

from rtms_gevent import Client, signals

SIGNAL = signals.transcript_data


class Listener:
    def __init__(self, heard):
        self.heard = heard

    def transcript(self, sender, **extra):
        self.heard.append(sender)


def function(heard):
    def transcript(sender, **extra):
        heard.append(sender)

    return transcript


def method(heard):
    return Listener(heard).transcript


def about(heard, client):
    """Refers to its client, as functions do that are defined where the client is at hand."""

    def transcript(sender, **extra):
        assert sender is client
        heard.append(sender)

    return transcript


@pytest.fixture(autouse=True)
def nobody_else():
    gc.collect()  # clients of earlier tests, and their receivers
    assert not SIGNAL.receivers
    yield
    for receiver in [*SIGNAL.receivers_for(SIGNAL)]:
        SIGNAL.disconnect(receiver)


def heard_by(heard, client):
    gc.collect()
    del heard[:]
    signals.emit(SIGNAL, client)
    return len(heard)


@pytest.mark.parametrize("make", [function, method])
def test_what_nobody_else_refers_to_stays(make):
    heard = []
    SIGNAL.connect(make(heard))
    assert heard_by(heard, Client()) == 1


@pytest.mark.parametrize("make", [function, method])
def test_unless_it_is_to_be_weak(make):
    heard = []
    SIGNAL.connect(make(heard), weak=True)
    assert heard_by(heard, Client()) == 0
    assert not SIGNAL.receivers


@pytest.mark.parametrize("make", [function, method])
def test_of_one_client(make):
    heard, client = [], Client()
    SIGNAL.connect(make(heard), sender=client)
    SIGNAL.connect(make(heard), client)
    assert heard_by(heard, client) == 2
    assert heard_by(heard, Client()) == 0


def test_it_goes_with_the_client_though_it_refers_to_it():
    heard, client = [], Client()
    SIGNAL.connect(about(heard, client), sender=client)
    signals.audio_data.connect(about(heard, client), sender=client)
    assert heard_by(heard, client) == 1
    gone = weakref.ref(client)
    del client, heard[:]
    gc.collect()
    assert gone() is None
    assert not SIGNAL.receivers
    assert not signals.audio_data.receivers


def test_one_that_hears_everybody_outlives_a_client_that_it_was_connected_to_as_well():
    heard, client = [], Client()
    SIGNAL.connect(SIGNAL.connect(function(heard)), sender=client)
    assert heard_by(heard, client) == 1
    del client, heard[:]
    assert heard_by(heard, Client()) == 1


def test_disconnecting():
    heard, client = [], Client()
    everyones, clients = function(heard), function(heard)
    SIGNAL.connect(everyones)
    SIGNAL.connect(clients, sender=client)
    SIGNAL.connect(clients, sender=client)  # counts once
    assert heard_by(heard, client) == 2
    SIGNAL.disconnect(clients, sender=client)
    assert heard_by(heard, client) == 1
    SIGNAL.disconnect(everyones)
    assert heard_by(heard, client) == 0
    del everyones
    gone = weakref.ref(clients)
    del clients
    gc.collect()
    assert gone() is None


def test_another_function_stays():
    heard, client = [], Client()
    first = SIGNAL.connect(function(heard), sender=client)
    SIGNAL.connect(function(heard), sender=client)
    SIGNAL.disconnect(first, sender=client)
    assert heard_by(heard, client) == 1


def test_other_ways_to_connect():
    heard, client = [], Client()
    with SIGNAL.connected_to(function(heard)), SIGNAL.connected_to(function(heard), client):
        assert heard_by(heard, client) == 2
        assert heard_by(heard, Client()) == 1
    assert heard_by(heard, client) == 0
    SIGNAL.connect_via(client)(function(heard))
    assert heard_by(heard, client) == 1


@pytest.mark.parametrize("sender", [object(), mock.Mock()])
def test_other_senders(sender):
    heard = []
    receiver = SIGNAL.connect(function(heard), sender=sender)
    gc.collect()
    assert heard_by(heard, sender) == 1
    SIGNAL.disconnect(receiver, sender)
    assert heard_by(heard, sender) == 0
    SIGNAL.disconnect(receiver)


class Unhooking:
    """A receiver in whose comparison another one goes, as the collector lets weak ones go."""

    def __init__(self, other):
        self.other = other

    def __eq__(self, other):
        SIGNAL.disconnect(self.other)
        return NotImplemented

    __hash__ = object.__hash__

    def __call__(self, sender, **extra):
        """Heard, and forgotten."""


def test_a_receiver_may_go_while_another_comes():
    heard, client = [], Client()
    others = [function(heard) for _ in range(2)]
    unhooking = Unhooking(others[1])
    for receiver in (unhooking, *others):
        SIGNAL.connect(receiver)
    SIGNAL.connect(function(heard), sender=client)
    assert heard_by(heard, client) == 2  # the first of the others, and the new one
    for receiver in (unhooking, *others):
        SIGNAL.disconnect(receiver)
