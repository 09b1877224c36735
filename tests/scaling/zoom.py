"""A simulated Zoom with many meetings, whose webhooks come three times, at whichever worker."""

from __future__ import annotations

import collections
import itertools
import time

import gevent
from gevent import socket
from gevent.pool import Group
from gevent.pywsgi import WSGIServer
from support.recorder import wait_until

from rtms_gevent import MessageType
from rtms_gevent.simulator import Simulator

__all__ = ["Stream", "Zoom"]

#: Seconds from one packet of a stream to the next.
INTERVAL = 0.1
#: How often each webhook comes: Zoom sends it again where our answer is late.
COPIES = 3
#: Seconds for which a webhook is sent again where nobody answers.
TRY_FOR = 30.0


class Sprayer:
    """Takes a webhook as a load balancer does, and sends it to the servers, three times.

    Each copy goes on a connection of its own, so that the kernel picks a worker for it.
    """

    def __init__(self):
        self.ports = []  #: of the servers, in turn
        self.is_holding = False  #: keep webhooks back until it is False again
        self._turn = itertools.count()
        self._server = WSGIServer(("127.0.0.1", 0), self._serve, log=None)
        self._copies = Group()

    def start(self):
        """Listen; return the URL."""
        self._server.start()
        return f"http://127.0.0.1:{self._server.server_port}/rtms/webhook"

    def stop(self):
        self._server.stop(timeout=0.1)
        self._copies.kill()

    def _serve(self, environ, start_response):
        body = environ["wsgi.input"].read()
        signed = {
            name[5:].replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_X_ZM")
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        request = (
            "POST /rtms/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{head}\r\n"
        ).encode() + body
        for _ in range(COPIES):
            self._copies.spawn(self._post, request)
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    def _post(self, request):
        give_up = time.monotonic() + TRY_FOR
        while time.monotonic() < give_up:
            port = self.ports[next(self._turn) % len(self.ports)]
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
                    connection.sendall(request)
                    if connection.recv(100).startswith(b"HTTP/1.1 200"):
                        return
            except OSError:
                pass
            gevent.sleep(0.1)

    def join(self):
        """Wait until all copies have been answered."""
        self._copies.join()


class Stream:
    """One meeting's stream, and what Zoom had for it."""

    def __init__(self, meeting):
        self.meeting = meeting
        self.id = meeting.stream_id
        #: Timestamps of the packets that there were, whether a socket took them or not.
        self.sent = []
        self.taken = 0  #: how many of them a socket took

    def play(self):
        """Send packets until the meeting is over."""
        while not self.meeting.is_over:
            now = int(time.time() * 1000)
            self.sent.append(now)
            self.taken += self.meeting.send_audio(b"\0" * 160, timestamp=now)
            gevent.sleep(INTERVAL - (time.time() - now / 1000))


class Handshakes(collections.deque):
    """Takes the simulator's list of requests, and looks for clients that are one too many."""

    def __init__(self, simulator):
        super().__init__(maxlen=100)
        self.count = collections.Counter()  #: of signaling sockets, by stream
        #: Streams for which a client came while another was connected.
        self.second = collections.Counter()
        self._simulator = simulator

    def append(self, request):
        super().append(request)
        message = request["message"]
        if message.get("msg_type") == MessageType.SIGNALING_HAND_SHAKE_REQ:
            stream_id = message["rtms_stream_id"]
            self.count[stream_id] += 1
            meeting = self._simulator.find_meeting(stream_id)
            if meeting is not None and meeting.signaling is not None:
                self.second[stream_id] += 1


class Zoom:
    """Meetings of which all say something all the time. A context manager."""

    def __init__(self, *ports, keep_alive=10.0):
        """Make a Zoom that knows where to send webhooks.

        Args:
            *ports: Of the servers.
            keep_alive: Seconds between two keep-alives; after three without answer Zoom hangs up.
        """
        self.sprayer = Sprayer()
        self.sprayer.ports = list(ports)
        self.streams = {}
        self._players = Group()
        self._keep_alive = keep_alive

    def __enter__(self):
        self.simulator = Simulator(
            "empty",
            client_secret="simulated-secret",
            webhook_url=self.sprayer.start(),
            webhook_secret="hook",
            keep_alive=self._keep_alive,
        )
        self.simulator.start()
        self.handshakes = self.simulator.requests = Handshakes(self.simulator)
        return self

    def __exit__(self, *_):
        self._players.kill()
        self.simulator.stop()
        self.sprayer.stop()

    def announce(self, count):
        """Start so many meetings at once; return their streams without waiting for clients."""
        streams = [Stream(self.simulator.add_meeting()) for _ in range(count)]
        self.streams |= {stream.id: stream for stream in streams}
        starts = [gevent.spawn(stream.meeting.start) for stream in streams]
        for stream in streams:
            self._players.spawn(stream.play)
        assert [start.get() for start in starts] == [200] * count
        return streams

    def start(self, count, seconds=20):
        """Start so many meetings at once, and wait until all of them have a client."""
        streams = self.announce(count)
        self.wait_joined(streams, seconds)
        return streams

    def wait_joined(self, streams=None, seconds=20):
        """Wait until all of these streams have a client that gets media."""
        waiting = set(self.streams.values() if streams is None else streams)

        def all_joined():
            waiting.difference_update([one for one in waiting if one.meeting.wait_ready(0)])
            return not waiting

        try:
            wait_until(all_joined, seconds)
        except AssertionError:
            raise AssertionError(
                f"after {seconds} s nobody has joined {[stream.id for stream in waiting]}"
            ) from None

    def stop(self, streams=None):
        """End meetings, and wait until all webhooks have been answered."""
        streams = list(self.streams.values()) if streams is None else streams
        gevent.joinall([gevent.spawn(stream.meeting.stop, 6) for stream in streams])
        self.sprayer.join()

    @property
    def second_connections(self):
        """How many clients came to a stream that had one."""
        return self.handshakes.second.total()
