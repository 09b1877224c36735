"""A WebSocket server of a few lines, which breaks rules on demand.

It shares nothing with the package, so that a mistake cannot cancel itself out.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket as stdlib_socket
import struct

import gevent
from gevent import socket, ssl
from gevent.server import StreamServer

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode, payload=b"", *, fin=True, rsv=0, mask=None):
    """One frame, as a server sends it."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    masked = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, masked | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    if mask:
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        head += mask
    return head + payload


def upgrade_response(request, *, accept=None, extensions=b""):
    """The response that opens a WebSocket."""
    key = next(
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    fields = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + (accept or base64.b64encode(digest)),
    ]
    if extensions:
        fields.append(b"Sec-WebSocket-Extensions: " + extensions)
    return b"\r\n".join([*fields, b"", b""])


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock):
        self.sock = sock
        self.request = b""
        self._buffer = b""

    def read_request(self):
        while b"\r\n\r\n" not in self.request:
            chunk = self.sock.recv(4096)
            if not chunk:
                return None
            self.request += chunk
        self.request, _, self._buffer = self.request.partition(b"\r\n\r\n")
        return self.request

    @property
    def path(self):
        return self.request.split(b" ")[1].decode()

    def upgrade(self, *, early=b"", **options):
        request = self.read_request()
        if request is None:  # the client has given up
            raise EOFError
        self.sock.sendall(upgrade_response(request, **options) + early)
        return self

    def send(self, opcode, payload=b"", **options):
        self.sock.sendall(frame(opcode, payload, **options))

    def send_json(self, document, opcode=TEXT):
        self.send(opcode, json.dumps(document).encode())

    def _exactly(self, count):
        while len(self._buffer) < count:
            chunk = self.sock.recv(65536)
            if not chunk:
                raise EOFError
            self._buffer += chunk
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def receive(self):
        """Return opcode and payload of one frame; raises EOFError at the end."""
        first, second = self._exactly(2)
        assert second & 0x80, "clients must mask"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._exactly(8))
        mask = self._exactly(4)
        payload = self._exactly(size)
        return first & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(payload))

    def receive_json(self):
        opcode, payload = self.receive()
        assert opcode in (TEXT, BINARY), (opcode, payload)
        return json.loads(payload)

    def receive_close(self):
        """Return the code of the close frame that comes next among other frames."""
        while True:
            opcode, payload = self.receive()
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0] if payload else None

    def close(self, code=1000, reason=b""):
        self.send(CLOSE, struct.pack("!H", code) + reason)

    def reset(self):
        """Close with a TCP reset."""
        self.sock.setsockopt(
            stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.sock.close()


class RawServer:
    """Runs ``script(peer)`` for each connection, and keeps what it raised."""

    def __init__(self, script, *, context=None, host="127.0.0.1", port=0):
        self.peers = []
        self.problems = []
        self._script = script
        self._context = context
        self._host = host
        self._server = StreamServer((host, port), self._handle)

    def _handle(self, sock, _):
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            peer = Peer(sock)
            self.peers.append(peer)
            self._script(peer)
        except (EOFError, OSError):
            pass
        except Exception as problem:
            self.problems.append(problem)
        finally:
            sock.close()

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(timeout=0)
        assert not self.problems, self.problems

    @property
    def port(self):
        return self._server.server_port

    def url(self, path="/", host=None):
        scheme = "ws" if self._context is None else "wss"
        return f"{scheme}://{host or self._host}:{self.port}{path}"


def join_raw(client, server):
    """Let a client begin to join at a server that checks neither ids nor the signature."""
    client.join(
        meeting_uuid="u", rtms_stream_id="s", server_urls=server.url(), client="c", secret="s"
    )


def hang(_peer):
    """A script that does nothing until the test is over."""
    gevent.sleep(60)


def relay(port):
    """Make a script that passes everything on to a port of 127.0.0.1, and back."""

    def script(peer):
        pass_on(peer, ("127.0.0.1", port))

    return script


def http_proxy(port=None):
    """Make a script that is an HTTP proxy (CONNECT): to where it is asked to, or ``port``."""

    def script(peer):
        peer.read_request()
        host, asked = peer.path.rsplit(":", 1)
        there = (host, int(asked)) if port is None else ("127.0.0.1", port)
        pass_on(peer, there, b"HTTP/1.1 200 Connection established\r\n\r\n")

    return script


def pass_on(peer, there, head=b""):
    """Pass everything on to ``there``, and back."""
    upstream = socket.create_connection(there)
    peer.sock.sendall(head)
    back = gevent.spawn(_pump, upstream, peer.sock)
    try:
        _pump(peer.sock, upstream)
    finally:
        back.kill()
        upstream.close()


def _pump(source, target):
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(stdlib_socket.SHUT_WR)


def server_context(certificate):
    """A gevent TLS context for a trustme certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def unused_port():
    """Return a port of 127.0.0.1 on which nobody listens, for refusals or for a server to come.

    Until this process ends nobody gets it by chance: it is bound, though not listened on, in the
    way that lets a server bind it, too.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    sock.detach()  # never closed
    return port


@contextlib.contextmanager
def black_hole():
    """Yield an address of 127.0.0.1 that takes no connection, and says so to nobody."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)  # where the queue is full, the kernel ignores who comes
        while True:
            guest = stack.enter_context(socket.socket())
            guest.settimeout(0.1)
            try:
                guest.connect(listener.getsockname())
            except TimeoutError:
                break
        yield listener.getsockname()
