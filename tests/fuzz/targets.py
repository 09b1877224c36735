"""What is fuzzed, and what each promises. A promise that is broken is an AssertionError.

A target takes any bytes. All of this is pure: no sockets, no clock.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtms_gevent.config import WebhookSettings
from rtms_gevent.enums import Product
from rtms_gevent.errors import FrameError, RemoteProtocolError
from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.protocol.events import EventTranslator
from rtms_gevent.protocol.fast_media import fast_media_decoder, missing_accelerators
from rtms_gevent.protocol.media import MediaState
from rtms_gevent.protocol.messages import EventUpdate, Message, SessionStateUpdate
from rtms_gevent.protocol.packets import MediaPacket
from rtms_gevent.protocol.signaling import SignalingState
from rtms_gevent.protocol.state import ConnectionState, State
from rtms_gevent.transport.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    CloseFrame,
    FrameReader,
    ReceiveBuffer,
)
from rtms_gevent.webhook import WebhookReceiver

from .source import Source


def _expect(promise: bool, otherwise: str) -> None:
    assert promise, otherwise


# -- frames: messages, or FrameError, however the bytes are cut ------------------------------------

_LIMIT = 1000


def frames(data: bytes) -> None:
    source = Source(data)
    size, step = source.choose((1, 2, 13, 64)), 1 + source.byte()
    stream = source.rest()
    whole = FrameReader(_LIMIT, buffer=ReceiveBuffer(max(1, len(stream))))
    found, error = _read(whole, stream, len(stream), lambda: None)
    shared = ReceiveBuffer(size)
    pieces = FrameReader(_LIMIT, buffer=shared)
    again, same_error = _read(pieces, stream, step, lambda: _scribble(shared))
    assert (again, str(same_error)) == (found, str(error)), "cut otherwise, it means something else"
    for opcode, payload in found:
        assert opcode in (TEXT, BINARY, CLOSE, PING, PONG), opcode
        assert len(payload) <= (_LIMIT if opcode in (TEXT, BINARY) else 125), len(payload)
        if opcode == CLOSE:
            _read_close(payload)


def _read(
    reader: FrameReader, stream: bytes, step: int, after_read: Callable[[], None]
) -> tuple[list[tuple[int, bytes]], FrameError | None]:
    found: list[tuple[int, bytes]] = []
    reader.on_control = lambda opcode, payload: found.append((opcode, payload))
    while stream:
        space = reader.get_buffer()
        count = min(len(space), len(stream), step)
        assert count, "no room to receive into"
        space[:count], stream = stream[:count], stream[count:]
        try:
            for opcode, buffer, start, stop in reader.buffer_updated(count):
                found.append((opcode, bytes(buffer[start:stop])))
        except FrameError as error:
            _expect(error.close_code in (1002, 1007, 1009), "a close code that was not expected")
            return found, error
        after_read()
    return found, None


def _scribble(shared: ReceiveBuffer) -> None:
    """Use it as other readers do between two reads of one."""
    shared.view[:] = b"\xff" * len(shared.view)


def _read_close(payload: bytes) -> None:
    try:
        close = CloseFrame.parse(payload)
    except FrameError as error:
        _expect(error.close_code in (1002, 1007), "a close code that was not expected")
    else:
        assert close.code is None or 1000 <= close.code < 5000, close.code


# -- decoder: a message, or RemoteProtocolError; and what is made of it ----------------------------

#: Fast decoders of media: the plain one, and the accelerated one where it can be.
_PLAINLY = (True,) if missing_accelerators() else (True, False)
_CONVERSATIONS: tuple[Callable[[], ConnectionState], ...] = (
    SignalingState,
    lambda: MediaState("audio"),
)


def decoder(data: bytes) -> None:
    source = Source(data)
    codec = JsonCodec(source.choose(tuple(Product)), max_nesting=8)
    conversation = source.choose(_CONVERSATIONS)()
    conversation.state = source.choose(tuple(State))
    translator = EventTranslator("stream", "uuid")
    if source.flag():
        payloads = source.rest().split(b"\n")
    else:
        documents = [source.document(_FIELDS) for _ in range(1 + source.byte() % 4)]
        payloads = [json.dumps(document).encode() for document in documents]
    for payload in payloads:
        decoders = [fast_media_decoder(plainly=plainly) for plainly in _PLAINLY]
        fast = [decoder.decode(payload, 0, len(payload)) for decoder in decoders]
        try:
            message = codec.decode(payload)
            for packet in fast:
                _expect(packet is None or packet == message, "a fast decoder decodes otherwise")
            reply = conversation.received(message)
        except RemoteProtocolError as problem:
            _expect(len(str(problem)) < 500, "a log line as long as the sender likes")
            continue
        if reply is not None:
            json.loads(codec.encode(reply).encode())
        _report(translator, message)


def _report(translator: EventTranslator, message: Message | MediaPacket) -> None:
    """Do what a session does with a message that arrived."""
    if isinstance(message, MediaPacket):
        assert isinstance(message.data, bytes)
        assert isinstance(message.timestamp, int)
        translator.with_speaker(message)
    elif isinstance(message, EventUpdate):
        *_, last = translator.from_event_update(message)
        assert last.name == "event_ex"
        assert isinstance(json.loads(last.arguments[0]), dict)
    elif isinstance(message, SessionStateUpdate):
        assert next(translator.from_session_state(message)).name == "session_state"


def _field_names() -> tuple[str, ...]:
    """Return the names of all fields in a recorded conversation, and some of Contact Center's."""
    names = {"channel_id", "consumer", "display_name", "engagement_id", "event_code", "call_id"}

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            names.update(value)
            value = list(value.values())
        for item in value if isinstance(value, list) else ():
            collect(item)

    for message in _recorded():
        collect(message)
    return ("msg_type", *sorted(names))


def _recorded() -> list[dict[str, Any]]:
    """Return what the server says in a recorded conversation."""
    path = Path(__file__).parents[1] / "conversations" / "official_sdk_session.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line["json"] for line in lines if line["dir"] == "S>C" and "json" in line]


_FIELDS = _field_names()

# -- webhook: an Answer; 2xx only where the signature is right -------------------------------------

_SECRET = "a secret token of an app"
_NOW = 1_760_000_000
_WEBHOOK_FIELDS = (
    "event",
    "event_ts",
    "payload",
    "object",
    "plainToken",
    "meeting_uuid",
    "rtms_stream_id",
    "server_urls",
    "stop_reason",
    "meeting.rtms_started",
    "endpoint.url_validation",
)
_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9+/=_.~-]{1,256}")


def webhook(data: bytes) -> None:
    source = Source(data)
    receiver = WebhookReceiver(WebhookSettings(secret=_SECRET), clock=lambda: float(_NOW))
    signed, with_headers = source.flag(), source.flag()
    timestamp = str(_NOW + source.choose((0, 299, -299, 301, -301)))
    mutation = source.take(source.byte() % 8)
    raw = source.flag()
    body = source.rest() if raw else json.dumps(source.document(_WEBHOOK_FIELDS)).encode()
    right = _sign(timestamp, body)
    signature = right if signed else (mutation + right.encode()).decode("latin-1")
    headers = {"x-zm-request-timestamp": timestamp, "X-Zm-Signature": signature}
    answer = receiver.handle("POST", body, headers if with_headers else {})
    assert 200 <= answer.status < 500, answer.status
    if answer.status >= 300:
        assert (answer.body, answer.event) == (b"", None)
        return
    authentic = with_headers and signature == right and abs(int(timestamp) - _NOW) <= 300
    assert authentic or answer.event is None, "a forged event was taken"
    if answer.event is not None:  # all that handlers may look at
        for field in dataclasses.fields(answer.event):
            getattr(answer.event, field.name)
        for name in ("uuid", "stream_id", "server_urls", "stop_reason", "percentage"):
            getattr(answer.event, name)
    elif not authentic:
        assert not with_headers, "a wrong signature was overlooked"
        token = json.loads(answer.body)["plainToken"]
        assert _PLAIN_TOKEN.fullmatch(token), "we sign what a stranger likes"


def _sign(timestamp: str, body: bytes) -> str:
    digest = hmac.new(_SECRET.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256)
    return "v0=" + digest.hexdigest()


# -- all of them -----------------------------------------------------------------------------------

TARGETS: dict[str, Callable[[bytes], None]] = {
    "frames": frames,
    "decoder": decoder,
    "webhook": webhook,
}

#: Words that the fuzzer may put in.
WORDS = {"frames": (), "decoder": _FIELDS, "webhook": _WEBHOOK_FIELDS}


def seeds(target: str) -> list[bytes]:
    """Return inputs to begin with: good ones, so that the fuzzer need not invent them."""
    if target == "frames":
        return [
            b"\0\0" + stream
            for stream in (
                b"\x81\x02hi\x82\x7e\x00\x80" + bytes(128),
                b"\x01\x02on\x89\x01?\x80\x01e",
                b"\x88\x05\x03\xe8bye",
                b"\x82\x7f" + (1000).to_bytes(8, "big"),
            )
        ]
    if target == "decoder":
        return [b"\0\0\2\1" + json.dumps(message).encode() for message in _recorded()]
    started = {
        "event": "meeting.rtms_started",
        "event_ts": _NOW * 1000,
        "payload": {
            "meeting_uuid": "uuid==",
            "rtms_stream_id": "stream",
            "server_urls": "wss://rtms.zoom.us/a",
        },
    }
    validation = {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS"}}
    return [
        start + json.dumps(document).encode()
        for document in (started, validation)
        for start in (b"\1\1\0\0\1", b"\0\0\0\0\1")
    ]
