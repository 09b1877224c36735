"""Sends webhooks to several processes at once, each of which may get it first, and again."""

from __future__ import annotations

import time

import gevent
from gevent import socket
from support.webhooks import encode, headers_for

__all__ = ["now", "spray"]


def spray(ports, document):
    """Send a webhook to each port at the same time, and once more to each."""
    body = encode(document)
    with gevent.Timeout(20):
        posting = [gevent.spawn(post, port, body) for port in ports * 2]
        assert {one.get() for one in posting} == {200}


def post(port, body):
    """Post a webhook, as Zoom does; return the status."""
    fields = {
        **headers_for(body, now=time.time(), secret="hook"),
        "Host": "127.0.0.1",
        "Content-Length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"POST /rtms/webhook HTTP/1.1\r\n{head}\r\n".encode() + body)
        return int(connection.recv(65536).split()[1])


def now():
    """Return the time in ms, as webhooks have it."""
    return int(time.time() * 1000)
