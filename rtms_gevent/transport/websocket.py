"""A client's WebSocket that the hub itself reads.

The hub's read watcher receives, joins frames and hands whole messages on; pings and close frames
are answered there and then. So a message is read as soon as it is there, whatever the greenlets
do, and keep-alives are answered while callbacks block. Measured against a greenlet per socket that
waits in ``recv`` it also costs a third less per message (see docs/architecture.md).
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import ssl as stdlib_ssl
import struct
import time
from collections.abc import Callable, Iterator

import gevent
from gevent import socket, ssl
from gevent.event import Event
from websocket import ABNF

from ..errors import ConnectionLost, FrameError
from ..runtime.fork import forget_in_child
from ..runtime.hub_local import HubLocal
from .connect import OpenedSocket
from .frames import CLOSE, PING, CloseFrame, FrameReader, ReceiveBuffer, ReceivedMessage

__all__ = ["CloseInfo", "WebSocket"]

logger = logging.getLogger(__name__)

_READ, _WRITE = 1, 2
#: The memory that the sockets of a hub receive into.
_receive_buffer = HubLocal(ReceiveBuffer)
#: Bytes that may wait to be sent: only small control messages are, so more means a dead peer.
_MAX_OUTBOX = 1024 * 1024
#: Seconds that the peer gets, after the last frame, to close the connection.
_LINGER_TIMEOUT = 1.0
#: Reads of one socket before others get their turn.
_MAX_READS = 8
_NO_CLOSE_FRAME = "the connection was closed without a close frame"
#: Seconds between reads below which a peer counts as one that sends much.
_BUSY = 0.002


@dataclasses.dataclass(frozen=True, slots=True)
class CloseInfo:
    """How a WebSocket ended."""

    code: int | None  #: the peer's close code; None where it sent no close frame, or an empty one
    reason: str  #: the peer's words
    clean: bool  #: whether close frames went both ways
    problem: str  #: for a log
    is_violation: bool = False  #: whether we closed it because the peer broke WebSocket's rules


class WebSocket:
    """One open WebSocket.

    ``on_messages(messages)`` and ``on_closed(closed)`` are called by the hub: they must not raise.
    The first may switch to another greenlet once it has iterated to the end; then the hub goes on,
    and may read more meanwhile. The messages, to be iterated over, are those that one read has
    completed, as :meth:`FrameReader.buffer_updated` yields them; each is there until the next is
    taken.

    Greenlet-safety: any greenlet of the hub that made it, and the hub itself; no other thread.
    """

    # Why classes on the way of a packet have slots: fewer cache lines to touch, 2 us of a message's
    # 21 when hundreds of streams take turns; and less memory for each stream.
    __slots__ = (
        "__weakref__",
        "_close_info",
        "_closing",
        "_fd",
        "_is_libuv",
        "_linger_timer",
        "_loop",
        "_on_closed",
        "_on_messages",
        "_outbox",
        "_paused",
        "_read",
        "_read_watcher",
        "_reader",
        "_resumed_at",
        "_sock",
        "_write_watcher",
        "closed",
        "endpoint",
        "last_heard",
        "name",
    )

    def __init__(
        self,
        opened: OpenedSocket,
        *,
        name: str,
        on_messages: Callable[[Iterator[ReceivedMessage]], None],
        on_closed: Callable[[CloseInfo], None],
        max_message_size: int,
        reader_type: type[FrameReader] = FrameReader,
    ) -> None:
        """Begin to read from ``opened``, which belongs to this object from now on.

        Args:
            opened: The socket, just opened.
            name: For logs and errors, such as "signaling".
            on_messages: Called with the text and binary messages of each read.
            on_closed: Called once, when the WebSocket is over: nothing is received any more.
            max_message_size: Bytes of one message.
            reader_type: Joins the frames to messages.
        """
        self.name = name
        self.endpoint = opened.endpoint  #: where it leads
        #: Set when the connection is gone, too: a second after ``on_closed`` was called, at most.
        self.closed = Event()
        self.last_heard = time.monotonic()  #: when anything arrived last; monotonic
        self._sock = opened.sock
        self._on_messages = on_messages
        self._on_closed = on_closed
        hub = gevent.get_hub()
        self._reader = reader_type(
            max_message_size, on_control=self._control, buffer=_receive_buffer.of(hub)
        )
        self._outbox = bytearray()
        self._closing = False  # our close frame was sent
        self._paused = False
        self._resumed_at = float("-inf")  # when it was paused no more; monotonic
        self._close_info: CloseInfo | None = None  # once nothing is handed over any more
        self._sock.setblocking(False)
        is_tls = isinstance(self._sock, ssl.SSLSocket)
        self._read = self._readable_tls if is_tls else self._readable
        self._fd = self._sock.fileno()
        self._loop = hub.loop
        self._is_libuv = "libuv" in type(self._loop).__module__
        self._read_watcher = self._loop.io(self._sock.fileno(), _READ)
        self._write_watcher = self._loop.io(self._sock.fileno(), _WRITE)
        self._linger_timer = self._loop.timer(_LINGER_TIMEOUT)
        forget_in_child(self)
        # The first read happens in the hub too, so that callbacks always come from there.
        self._loop.run_callback(self._begin, opened.buffered)

    # -- reading: all of this runs in the hub ------------------------------------------------------

    def _begin(self, buffered: bytes) -> None:
        if self._close_info is not None:
            return
        while buffered and self._close_info is None:
            space = self._reader.get_buffer()
            count = min(len(space), len(buffered))
            space[:count] = buffered[:count]
            buffered = buffered[count:]
            self._take(count)
        self._read_on()  # only now: handling messages may switch, and order must be kept

    def pause(self) -> None:
        """Read nothing more until :meth:`resume`; what was read already is still handed over.

        The peer's keep-alives and its end are not seen either.
        """
        if self._close_info is None and not self._closing:
            self._paused = True
            self._read_watcher.stop()

    def resume(self) -> None:
        """Read on, from the hub."""
        if self._paused:
            self._paused = False
            self._resumed_at = time.monotonic()
            self._loop.run_callback(self._read_on)

    def _read_on(self) -> None:
        if self._is_reading():
            self._watch()
            self._read()  # OpenSSL may hold bytes that the kernel knows nothing of

    def _watch(self) -> None:
        if self._is_libuv:
            self._read_watcher.start(self._readable_libuv, pass_events=True)
        else:
            self._read_watcher.start(self._read)

    @property
    def is_paused(self) -> bool:
        """Whether we have stopped reading."""
        return self._paused

    @property
    def silent_since(self) -> float:
        """Since when the peer says nothing, though we listen; monotonic."""
        return max(self.last_heard, self._resumed_at)

    def _readable_libuv(self, events: int) -> None:
        if events < 0:
            # A broken connection is watched no more, though what came before may be unread.
            self._read_watcher.stop()
            self._watch()
        if self._is_reading():
            self._read()

    def _is_reading(self) -> bool:
        return self._close_info is None and not self._paused

    def _readable(self) -> None:
        """Receive and handle what fits into the buffer."""
        try:
            # Not gevent's recv_into(), whose layers cost more than the system call.
            count = os.readv(self._fd, (self._reader.get_buffer(),))
        except BlockingIOError:
            return
        except OSError as problem:
            self._finish(_describe(problem))
            return
        if count:
            self._take(count)
        else:
            self._finish(_NO_CLOSE_FRAME)

    def _readable_tls(self) -> None:
        """Receive and handle what OpenSSL holds, too: the kernel does not know of that."""
        tls = self._sock
        assert isinstance(tls, ssl.SSLSocket)
        for _ in range(_MAX_READS):
            if not self._is_reading():
                return
            try:
                count = self._read_records(tls, self._reader.get_buffer())
            except (BlockingIOError, stdlib_ssl.SSLWantReadError):
                return
            except stdlib_ssl.SSLWantWriteError:
                self._write_watcher.start(self._writable)
                return
            except OSError as problem:
                self._finish(_describe(problem))
                return
            if not count:
                self._finish(_NO_CLOSE_FRAME)
                return
            self._take(count)
            if not tls.pending():
                return
        self._loop.run_callback(self._readable_tls)  # others first

    def _read_records(self, tls: ssl.SSLSocket, space: memoryview) -> int:
        """Read TLS records into ``space``; raise what the first of them raises.

        Each takes a call. To find out that there is no more is dear, so that it is only tried while
        the peer sends much: a turn of the loop for each record would be dearer then.
        """
        count: int = tls.recv_into(space)
        if time.monotonic() - self.last_heard > _BUSY:
            return count
        with contextlib.suppress(OSError):  # also what is to be read next time; the end comes again
            while len(space) - count > 0:
                more = tls.recv_into(space[count:])
                if not more:
                    break
                count += more
        return count

    def _take(self, count: int) -> None:
        """Handle ``count`` bytes that were just written to the reader."""
        self.last_heard = time.monotonic()
        on_messages, messages = self._on_messages, self._reader.buffer_updated(count)
        while True:
            try:
                on_messages(messages)
                return
            except FrameError as problem:
                self._send_close(problem.close_code, "")
                self._finish(str(problem), is_violation=True, linger=True)
                return
            except Exception:
                # Who handles them promises not to raise; what follows must not be lost if so.
                logger.exception("handling a message of the %s socket failed", self.name)

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self._answer_close(CloseFrame.parse(payload))
        elif opcode == PING and not self._closing:
            self._send(ABNF.OPCODE_PONG, payload)

    def _answer_close(self, frame: CloseFrame) -> None:
        self._send_close(1000 if frame.code is None else frame.code, "")
        self._finish(
            "the server closed it", code=frame.code, reason=frame.reason, clean=True, linger=True
        )

    def _writable(self) -> None:
        self._write_watcher.stop()
        self._flush()
        if self._is_reading():
            self._read()  # TLS may have had to write before it could read on

    # -- sending -----------------------------------------------------------------------------------

    def send(self, message: str | bytes) -> None:
        """Send a text message (``str``) or a binary one (``bytes``); never waits.

        Raises:
            ConnectionLost: the socket is closed or being closed, or the peer takes nothing.
        """
        if self._close_info is not None or self._closing:
            problem = self._close_info.problem if self._close_info else "it is being closed"
            raise ConnectionLost(self.name, problem)
        if isinstance(message, str):
            self._send(ABNF.OPCODE_TEXT, message.encode())
        else:
            self._send(ABNF.OPCODE_BINARY, message)
        if self._close_info is not None:
            raise ConnectionLost(self.name, self._close_info.problem)

    @property
    def unsent(self) -> int:
        """How many bytes wait until the peer reads on."""
        return len(self._outbox)

    def _send(self, opcode: int, payload: bytes) -> None:
        if len(self._outbox) > _MAX_OUTBOX and opcode != ABNF.OPCODE_CLOSE:  # that is the last one
            self._finish("the server reads nothing of what we send")
            return
        self._outbox += ABNF.create_frame(payload, opcode).format()
        self._flush()

    def _flush(self) -> None:
        try:
            while self._outbox:
                count = self._sock.send(self._outbox)
                if not count:
                    # Where another socket raises, gevent's TLS socket says that it sent nothing.
                    raise BlockingIOError
                del self._outbox[:count]
            if self._close_info is not None:
                self._sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self._write_watcher.start(self._writable)
        except OSError as problem:
            self._finish(_describe(problem))

    # -- closing -----------------------------------------------------------------------------------

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame; ``closed`` is set when the peer has answered. Never waits."""
        if self._close_info is None and not self._closing:
            self._send_close(code, reason)
            self.resume()  # or we would not see the answer

    def _send_close(self, code: int, reason: str) -> None:
        if self._closing:
            return
        fitting = reason.encode(errors="replace")[:123].decode(errors="ignore")  # no half character
        self._send(ABNF.OPCODE_CLOSE, struct.pack("!H", code) + fitting.encode())
        self._closing = True

    def abort(self, problem: str) -> None:
        """Close at once, without asking the peer."""
        self._finish(problem)

    def _finish(
        self,
        problem: str,
        *,
        code: int | None = None,
        reason: str = "",
        clean: bool = False,
        is_violation: bool = False,
        linger: bool = False,
    ) -> None:
        """Hand over nothing more, and close the connection; with ``linger`` not at once."""
        if self._close_info is None:
            self._close_info = CloseInfo(code, reason, clean, problem, is_violation)
            self._reader.stop()
            try:
                self._on_closed(self._close_info)
            except Exception:
                logger.exception("handling the end of the %s socket failed", self.name)
        if not linger:
            self._disconnect()
        elif not self.closed.is_set():
            self._linger()

    def _linger(self) -> None:
        """Let the peer close the connection, as RFC 6455 wants in section 7.1.1.

        To close it while there are unread bytes would reset it, and a reset may overtake our close
        frame, or what else the peer has not read yet.
        """
        self._read_watcher.stop()
        self._read_watcher.start(self._discard)
        self._linger_timer.start(self._disconnect)
        self._flush()

    def _discard(self) -> None:
        try:
            if self._sock.recv_into(self._reader.get_buffer()):
                return
        except (BlockingIOError, stdlib_ssl.SSLWantReadError, stdlib_ssl.SSLWantWriteError):
            return
        except OSError as problem:
            logger.debug("%s socket: %s after its end", self.name, _describe(problem))
        self._disconnect()

    def _disconnect(self) -> None:
        if self.closed.is_set():
            return
        self._stop_watching()
        self._outbox.clear()
        self._sock.close()
        self.closed.set()

    def _stop_watching(self) -> None:
        for watcher in (self._read_watcher, self._write_watcher, self._linger_timer):
            watcher.stop()
            watcher.close()

    def after_fork_in_child(self, is_here: bool) -> None:
        """Let go of the connection in a forked child, without a word to the peer."""
        if self.closed.is_set():
            return
        if self._close_info is None:
            self._close_info = CloseInfo(
                None, "", False, "it belongs to the process that forked this one"
            )
        if is_here:
            self._stop_watching()
        self._outbox.clear()
        os.close(self._sock.detach())  # the parent's descriptor stays open, and so the connection
        self.closed.set()


def _describe(problem: OSError) -> str:
    return problem.strerror or str(problem) or type(problem).__name__
