"""A client of a few lines: websocket-client on a gevent socket, and JSON written by hand.

It shares nothing with the package, so that a mistake cannot cancel itself out.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl as stdlib_ssl
import struct
import urllib.parse

import websocket
from gevent import socket, ssl

TIMEOUT = 5.0
TEXT, BINARY, CLOSE = 1, 2, 8


def sign(simulator, meeting, *, secret=None, uuid=None):
    text = f"{simulator.client_id},{uuid or meeting.uuid},{meeting.stream_id}"
    key = secret or simulator.client_secret
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


class RawSocket:
    """One WebSocket."""

    def __init__(self, url, ca=None):
        parts = urllib.parse.urlsplit(url)
        connection = socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT)
        try:
            if parts.scheme == "wss":
                context = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_CLIENT)
                context.load_verify_locations(ca)
                connection = context.wrap_socket(connection, server_hostname=parts.hostname)
            self.ws = websocket.create_connection(url, timeout=TIMEOUT, socket=connection)
        except BaseException:
            connection.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.ws.shutdown()

    def send(self, message):
        self.ws.send(json.dumps(message))

    def frame(self):
        """The next frame as it is: opcode and payload; fragments are not joined."""
        frame = self.ws.recv_frame()
        return frame.opcode, frame.fin, bytes(frame.data)

    def receive(self):
        """The next message, decoded; keep-alives are answered and left out."""
        while True:
            opcode, data = self.ws.recv_data()
            assert opcode in (TEXT, BINARY), f"closed with {data!r}"
            message = json.loads(data)
            if message["msg_type"] != 12:
                return message
            self.send({"msg_type": 13, **{k: message[k] for k in ("timestamp", "sequence")}})

    def receive_until(self, wanted):
        """The next message for which ``wanted`` holds."""
        while not wanted(message := self.receive()):
            pass
        return message

    def close_code(self):
        """Read up to the close frame, and return its code."""
        while True:
            opcode, _, data = self.frame()
            if opcode == CLOSE:
                return struct.unpack("!H", data[:2])[0] if data else None


class RawClient:
    """A whole client: signaling and media sockets of one meeting."""

    def __init__(
        self, simulator, meeting=None, *, media=("audio",), params=None, ready=True, url=None
    ):
        self.simulator, self.meeting = simulator, meeting or simulator.meeting
        self.media = {}
        self.signaling = RawSocket(url or simulator.signaling_url, simulator.ca)
        self.opened = [self.signaling]
        try:
            self.signaling.send(self.hello())
            self.answer = self.signaling.receive()
            assert self.answer["status_code"] == 0, self.answer
            for name in media:
                self.open_media(name, (params or {}).get(name))
            if ready:
                self.ready()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for one in self.opened:
            one.ws.shutdown()

    def ids(self):
        return {
            "meeting_uuid": self.meeting.uuid,
            "rtms_stream_id": self.meeting.stream_id,
            "signature": sign(self.simulator, self.meeting),
        }

    def hello(self):
        return {"msg_type": 1, "protocol_version": 1, "sequence": 1, **self.ids()}

    def open_media(self, name, params=None, media_type=None):
        number = {"audio": 1, "video": 2, "deskshare": 4, "transcript": 8, "chat": 16, "all": 32}
        url = self.answer["media_server"]["server_urls"][name]
        self.media[name] = media = RawSocket(url, self.simulator.ca)
        self.opened.append(media)
        message = {
            "msg_type": 3,
            "protocol_version": 1,
            "sequence": 7,
            "media_type": number[name] if media_type is None else media_type,
            **self.ids(),
        }
        if params is not None:
            message["media_params"] = {name: params} if name != "all" else params
        media.send(message)
        self.media_answer = media.receive()
        return self.media_answer

    def ready(self):
        self.signaling.send({"msg_type": 7, "rtms_stream_id": self.meeting.stream_id})
        assert self.meeting.wait_ready(TIMEOUT)

    def reopen(self, name):
        """Open a media socket again, and return when media flows on it."""
        self.open_media(name)
        self.ready()
        self.sync()

    def subscribe(self, *numbers, on=True):
        events = [{"event_type": number, "subscribe": on} for number in numbers]
        self.signaling.send({"msg_type": 5, "events": events})
        self.sync()

    def sync(self):
        """Return when the simulator has handled all that was sent on the signaling socket."""
        self.signaling.send({"msg_type": 19, "rtms_stream_id": self.meeting.stream_id})
        self.before_sync = []
        while (message := self.signaling.receive())["msg_type"] != 20:
            self.before_sync.append(message)
