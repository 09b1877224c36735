"""Watches which addresses are connected to, in which order, and when the next one is tried."""

from __future__ import annotations

import pytest
from gevent import socket

from rtms_gevent.transport import happy_eyeballs


class Dialled:
    """The connections that were begun, in their order."""

    def __init__(self, monkeypatch):
        self.addresses = []
        self.sockets = []
        self.most_open = 0
        connect = socket.socket.connect

        def spy(sock, address):
            self.addresses.append(address)
            self.sockets.append(sock)
            self.most_open = max(self.most_open, len(self.open))
            return connect(sock, address)

        monkeypatch.setattr(socket.socket, "connect", spy)

    def forget(self):
        """Count from here on."""
        self.addresses.clear()
        self.sockets.clear()
        self.most_open = 0

    @property
    def ports(self):
        return [address[1] for address in self.addresses]

    @property
    def open(self):
        return [sock for sock in self.sockets if sock.fileno() >= 0]


@pytest.fixture
def dialled(monkeypatch):
    """Who was dialled since the test began, or since ``dialled.forget()``."""
    return Dialled(monkeypatch)


@pytest.fixture
def patient(monkeypatch):
    """Nobody gets a turn before the one before has failed."""
    monkeypatch.setattr(happy_eyeballs, "_HEAD_START", 3600)


@pytest.fixture
def hasty(monkeypatch):
    """Each gets its turn a moment after the one before."""
    monkeypatch.setattr(happy_eyeballs, "_HEAD_START", 0.001)
