"""WebSocket's wire format (RFC 6455), from the client's side: bytes in, whole messages out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..errors import FrameError

__all__ = [
    "BINARY",
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "CloseFrame",
    "FrameReader",
    "ReceiveBuffer",
    "ReceivedMessage",
]

#: Opcode, buffer, start, stop.
ReceivedMessage = tuple[int, "bytearray | bytes", int, int]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

#: Bytes that are received at once, at most: few big reads cost less than many small ones.
_RECEIVE_SIZE = 256 * 1024
#: Bytes of an unfinished frame from which on it gets a buffer of its own. Less is copied out of the
#: shared one, and into it before the next read.
_OWN_BUFFER_SIZE = 64 * 1024
#: A limit that no message keeps.
NO_FAST_PATH = -1

_HEADER = struct.Struct("!BBH").unpack_from
_HEADER_SIZE = 4
_LONG = struct.Struct("!Q").unpack_from

#: Close codes that may travel; 3000 to 4999 may too (RFC 6455 section 7.4).
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


class CloseFrame(NamedTuple):
    """What a close frame says."""

    code: int | None  #: None where the frame is empty
    reason: str

    @classmethod
    def parse(cls, payload: bytes) -> CloseFrame:
        """Read the payload of a close frame.

        Raises:
            FrameError: it breaks the rules; has the close code to answer with.
        """
        if not payload:
            return cls(None, "")
        if len(payload) == 1:
            raise FrameError("close frame with half a code")
        code = int.from_bytes(payload[:2], "big")
        if code not in _CLOSE_CODES and not 3000 <= code < 5000:
            raise FrameError(f"close frame with the code {code}, which must not travel")
        try:
            return cls(code, payload[2:].decode())
        except UnicodeDecodeError:
            raise FrameError("close reason is not UTF-8", 1007) from None


class ReceiveBuffer:
    """Memory that the readers of one thread receive into, one after the other.

    So it is warm in the processor's cache, and a stream whose messages come whole has no buffer.
    """

    __slots__ = ("buffer", "view")

    def __init__(self, size: int = _RECEIVE_SIZE) -> None:
        """Make one of ``size`` bytes."""
        self.buffer = bytearray(max(size, _HEADER_SIZE))
        self.view = memoryview(self.buffer)


class FrameReader:
    """Joins frames to messages.

    It is used in two steps, as :class:`asyncio.BufferedProtocol` is: receive into what
    :meth:`get_buffer` returns, then iterate over :meth:`buffer_updated` to its end. That gives
    ``TEXT`` or ``BINARY``, and where the message is: a memoryview of it would cost more than all
    the rest of the parsing.

    The memory is shared with other readers of the same thread. So from :meth:`get_buffer` to the
    end of the iteration nobody may switch to another greenlet; and the buffer of a message may be
    used until the next one is taken. To call :meth:`get_buffer` again, since nothing was received,
    does no harm.

    Greenlet-safety: one owner; it never switches.
    """

    __slots__ = (
        "_buffer",
        "_end",
        "_fast_limit",
        "_fragmented",
        "_joined",
        "_limit",
        "_rest",
        "_shared",
        "_stopped",
        "_view",
        "on_control",
    )

    def __init__(
        self,
        max_message_size: int,
        *,
        on_control: Callable[[int, bytes], None] = lambda opcode, payload: None,
        buffer: ReceiveBuffer | None = None,
    ) -> None:
        """Make a reader.

        Args:
            max_message_size: Bytes of the largest message to accept; larger ones are refused as
                soon as their length is known.
            on_control: Gets opcode and payload of each ``PING``, ``PONG`` and ``CLOSE``, when its
                turn among the messages has come. May :meth:`stop`, or raise.
            buffer: Shared with other readers; one of its own by default.
        """
        self._limit = max_message_size
        self.on_control = on_control
        self._stopped = False
        #: Bytes of the largest message that can be handed on as it is: NO_FAST_PATH while fragments
        #: are being joined, and after the end.
        self._fast_limit = max_message_size
        self._shared = buffer or ReceiveBuffer()
        self._fragmented = 0  # opcode of the message that is being joined, or 0
        self._joined = bytearray()  # its fragments: one buffer, however small they are
        self._empty()

    def _empty(self) -> None:
        """Receive from the shared buffer's beginning on."""
        self._buffer, self._view = self._shared.buffer, self._shared.view
        self._end = 0  # of what is in the buffer before the next read
        self._rest = b""  # of an unfinished frame; to be put there first

    def get_buffer(self) -> memoryview:
        """Return where to receive into: at least one byte."""
        if self._rest:
            self._end = len(self._rest)
            self._view[: self._end] = self._rest
        return self._view[self._end :] if self._end else self._view

    def _keep(self, begun: memoryview, missing: int) -> None:
        """Keep what came of a frame, until ``missing`` bytes more have come, or some of them."""
        size = len(begun)
        if size < min(_OWN_BUFFER_SIZE, len(self._shared.buffer) // 2):
            rest = bytes(begun)
            self._empty()
            self._rest = rest
        elif size < len(self._buffer) and self._buffer is not self._shared.buffer:
            self._end = size  # nothing came but this frame, which has a buffer that is not yet full
        else:
            # At most doubled, so that nobody makes us reserve memory for bytes that never come.
            self._rest, self._end = b"", size
            self._buffer = bytearray(size + min(missing, max(size, _HEADER_SIZE)))
            self._view = memoryview(self._buffer)
            self._view[:size] = begun

    def stop(self) -> None:
        """Let :meth:`buffer_updated` yield nothing more."""
        self._stopped = True
        self._fast_limit = NO_FAST_PATH
        self._empty()

    def buffer_updated(self, count: int) -> Iterator[ReceivedMessage]:
        """Take ``count`` bytes into account that were received into :meth:`get_buffer`.

        Yields:
            Opcode, buffer, and where in it the message begins and stops, in the order they came.

        Raises:
            FrameError: the peer broke the rules, after everything before it was yielded.
        """
        # One whole text message is what a read nearly always brings where streams are paced: 0.35
        # us instead of 0.54.
        if not self._end:
            first, length, extended = _HEADER(self._buffer)
            payload = 2
            if length == 126:
                length, payload = extended, 4
            elif length > 126:  # a longer length, or a mask
                return self._messages(count)
            if first == 0x81 and payload + length == count and length <= self._fast_limit:
                return iter(((TEXT, self._buffer, payload, count),))
        return self._messages(count)

    def _messages(self, count: int) -> Iterator[ReceivedMessage]:
        start, end, missing = 0, self._end + count, 1
        buffer, view = self._buffer, self._view
        while end - start >= 2 and not self._stopped:
            first, length = buffer[start], buffer[start + 1]
            if length < 126:
                payload = start + 2
            elif length == 126:
                if end - start < 4:
                    break
                length = buffer[start + 2] << 8 | buffer[start + 3]
                payload = start + 4
            elif length == 127:
                if end - start < 10:
                    break
                length = _LONG(buffer, start + 2)[0]
                payload = start + 10
            else:
                raise FrameError("a server must not mask frames")
            stop = payload + length
            # An unfragmented message is what nearly always comes; all else is looked at closer.
            plain = (first == 0x81 or first == 0x82) and length <= self._fast_limit
            if not plain:
                self._check(first, length, view[payload : min(stop, end)])
            if stop > end:
                missing = stop - end
                break
            start = stop
            if plain:
                yield first & 0x0F, buffer, payload, stop
            elif first & 0x08:
                self.on_control(first & 0x0F, bytes(buffer[payload:stop]))
            else:
                message = self._join(first, view[payload:stop])
                if message is not None:
                    opcode, joined = message
                    yield opcode, joined, 0, len(joined)
        if start == end:
            self._empty()
        elif not self._stopped:
            self._keep(view[start:end], missing)

    def _check(self, first: int, length: int, begun: memoryview) -> None:
        """Apply the rules that an unfragmented message of a fitting size cannot break.

        Args:
            first: The frame's first byte.
            length: Bytes of its payload.
            begun: What has come of the payload. Rules for that are a subclass's to add.
        """
        opcode, final = first & 0x0F, first & 0x80
        if first & 0x70:
            raise FrameError("reserved bits are set, though no extension was agreed on")
        if opcode in (CLOSE, PING, PONG):
            if not final:
                raise FrameError("control frames must not be fragmented")
            if length > 125:
                raise FrameError("control frames must not be longer than 125 bytes")
        elif opcode in (TEXT, BINARY):
            if self._fragmented:
                raise FrameError("a new message began before the last one ended")
        elif opcode != CONTINUATION:
            raise FrameError(f"reserved opcode {opcode}")
        elif not self._fragmented:
            raise FrameError("a continuation of nothing")
        size = length + len(self._joined)
        if size > self._limit and not first & 0x08:
            raise FrameError(f"message of {size} bytes, the limit is {self._limit}", 1009)

    def _join(self, first: int, view: memoryview) -> tuple[int, bytearray] | None:
        """Add a fragment; return the message when it was the last one."""
        self._fragmented = self._fragmented or first & 0x0F
        self._joined += view
        if not first & 0x80:
            self._fast_limit = NO_FAST_PATH
            return None
        opcode, message = self._fragmented, self._joined
        self._fragmented, self._joined = 0, bytearray()
        self._fast_limit = self._limit
        return opcode, message
