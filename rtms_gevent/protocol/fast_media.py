"""A fast decoder for audio and pictures in the form in which they nearly always come.

A message in any other form (another field, another type, an escape, an error) is left to
:class:`~.codec.JsonCodec`, which decodes everything. So nothing here has to be lenient, and the
result is the same.

There are two decoders: with msgspec and pybase64, and a plain one with the standard library, where
one of these is missing. Measured, per message of 160 B, 1.9 kB and 20 kB: 1.0, 2.1 and 4 us, and
plainly 3.3, 9 and 75, of which binascii takes 0.5, 5.5 and 57 (``python -m benchmarks profile``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from ..enums import MediaDataType
from .fields import EARLIEST_MS, LARGEST, LATEST_MS, SMALLEST
from .metadata import Metadata
from .packets import MEDIA_TYPES, TEXTUAL, MediaPacket
from .strict_base64 import PYBASE64_IS_MISSING, b64decode, b64decode_with_binascii

_missing = {"pybase64": PYBASE64_IS_MISSING} if PYBASE64_IS_MISSING else {}
if TYPE_CHECKING:
    import msgspec
else:
    try:
        import msgspec
    except ImportError as problem:  # such as on PyPy
        msgspec = None
        _missing["msgspec"] = str(problem)

__all__ = ["FastMediaDecoder", "fast_media_decoder", "missing_accelerators"]

#: Media types by message number.
_KINDS = {int(number): kind for number, kind in MEDIA_TYPES.items() if kind not in TEXTUAL}
#: Bytes of a message from which its payload is decoded in place. Below, msgspec's own base64
#: is quicker, since it spares two searches.
_INLINE_DECODE_SIZE = 1024
_BEFORE_DATA = b'"data":"'
_BACKSLASH = ord("\\")  # a number is found in a fifth of the time
#: Participants to remember. A meeting has fewer; a hostile server must not fill the memory.
_MAX_CACHED_SPEAKERS = 1000

#: Quicker by half than MediaPacket(...).
_new_packet = tuple.__new__


def missing_accelerators() -> Mapping[str, str]:
    """Return the packages without which the plain decoder is in use, with why each is missing."""
    return _missing


def _make_parser() -> Callable[[bytes | bytearray], Any]:
    options: Any = {"gc": False, "forbid_unknown_fields": True}
    time = Annotated[int, msgspec.Meta(ge=EARLIEST_MS, le=LATEST_MS)]
    # msgspec's own bounds cannot be larger.
    user_id = Annotated[int, msgspec.Meta(ge=SMALLEST, le=2**63 - 1)]
    content = msgspec.defstruct(
        "Content",
        [
            ("data", bytes),
            ("timestamp", time),
            ("user_id", user_id, 0),
            ("user_name", str, ""),
            ("length", int, 0),
        ],
        **options,
    )
    media = msgspec.defstruct("Media", [("msg_type", int), ("content", content)], **options)
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(media)
    return decoder.decode


if msgspec is not None:
    _parse = _make_parser()
    _MSGSPEC_REFUSES = (msgspec.MsgspecError, ValueError, RecursionError, KeyError)
#: Of what json makes, anything may lack what an object has, or not be the text that it should be.
_JSON_REFUSES = (ValueError, RecursionError, KeyError, TypeError, AttributeError)
_read_json = json.JSONDecoder().raw_decode


def _cut(buffer: bytearray | bytes, start: int, stop: int) -> tuple[memoryview, bytearray | bytes]:
    """Return the payload of a large message, in place, and the message with an empty one.

    Raises:
        ValueError: it is not certain what the payload is.
    """
    begin = buffer.index(_BEFORE_DATA, start, stop) + len(_BEFORE_DATA)
    end = buffer.index(b'"', begin, stop)
    # What is left is small: a message with an empty payload, and no second one. What was found is
    # no part of a string, since a quote in there has a backslash.
    rest = buffer[start:begin] + buffer[end:stop]
    if len(rest) > _INLINE_DECODE_SIZE or rest.count(b'"data"') != 1:
        raise ValueError("no message of one payload")
    # Each other way to write that name has a d, an a or a t as an escape.
    if _BACKSLASH in rest and (b"\\u006" in rest or b"\\u0074" in rest):
        raise ValueError("perhaps a second payload")
    return memoryview(buffer)[begin:end], rest


class FastMediaDecoder:
    """Decodes one stream's media with the standard library alone.

    Packets of one type and speaker share their metadata, and no others do.
    """

    # A closure would be no quicker: of that, each cell is another cache line.
    __slots__ = ("_metadata_cache",)

    def __init__(self) -> None:
        self._metadata_cache: dict[tuple[MediaDataType, int, str], Metadata] = {}

    def decode(self, buffer: bytearray | bytes, start: int, stop: int) -> MediaPacket | None:
        """Return the packet that is in ``buffer`` from ``start`` to ``stop``.

        ``None`` means that the message has another form: :meth:`.JsonCodec.decode` reads it.
        """
        try:
            if stop - start < _INLINE_DECODE_SIZE:
                payload, rest = None, buffer[start:stop]
            else:
                payload, rest = _cut(buffer, start, stop)
            text = rest.decode()
            message, end = _read_json(text)
            content = message.pop("content")
            kind = _KINDS[message.pop("msg_type")]
            encoded = content.pop("data")
            timestamp = content.pop("timestamp")
            user_id = content.pop("user_id", 0)
            user_name = content.pop("user_name", "")
            content.pop("length", None)
            if (
                message
                or content
                or end != len(text)
                or type(timestamp) is not int
                or not EARLIEST_MS <= timestamp <= LATEST_MS
                or type(user_id) is not int
                or not SMALLEST <= user_id <= LARGEST
                or type(user_name) is not str
            ):
                return None
            data = b64decode_with_binascii(encoded if payload is None else payload)
        except _JSON_REFUSES:
            return None
        who = (kind, user_id, user_name)
        metadata = self._metadata_cache.get(who) or self._metadata_for(who)
        return _new_packet(MediaPacket, (kind, data, timestamp, metadata))

    def _metadata_for(self, who: tuple[MediaDataType, int, str]) -> Metadata:
        if len(self._metadata_cache) >= _MAX_CACHED_SPEAKERS:
            self._metadata_cache.clear()
        self._metadata_cache[who] = metadata = Metadata(*who[1:])
        return metadata


class _AcceleratedDecoder(FastMediaDecoder):
    """Does the same with msgspec and pybase64."""

    __slots__ = ()

    def decode(self, buffer: bytearray | bytes, start: int, stop: int) -> MediaPacket | None:
        try:
            if stop - start < _INLINE_DECODE_SIZE:
                message = _parse(buffer[start:stop])
                content = message.content
                data = content.data
            else:
                payload, rest = _cut(buffer, start, stop)
                message = _parse(rest)
                content = message.content
                data = b64decode(payload, None, True)
            kind = _KINDS[message.msg_type]
        except _MSGSPEC_REFUSES:
            return None
        who = (kind, content.user_id, content.user_name)
        try:
            metadata = self._metadata_cache[who]
        except KeyError:
            metadata = self._metadata_for(who)
        return _new_packet(MediaPacket, (kind, data, content.timestamp, metadata))


def fast_media_decoder(*, plainly: bool = bool(_missing)) -> FastMediaDecoder:
    """Return the quickest decoder that works here, for one stream.

    Args:
        plainly: With the standard library alone, as where a package is missing.
    """
    return FastMediaDecoder() if plainly else _AcceleratedDecoder()
