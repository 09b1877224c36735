"""WebSocket frames: the same messages come out however the bytes were cut."""

import itertools
import struct
import tracemalloc

import pytest
from conformance.strict_text import StrictTextReader
from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent.errors import FrameError
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

MIB = 1024 * 1024
MOST = 256 * 1024
CONTINUATION = 0


def frame(payload=b"", opcode=BINARY, *, final=True, reserved=0, mask=None):
    """Encode one frame by RFC 6455 section 5.2, independently of the code under test."""
    masked = 0x80 if mask else 0
    if len(payload) < 126:
        length = struct.pack("!B", masked | len(payload))
    elif len(payload) < 65536:
        length = struct.pack("!BH", masked | 126, len(payload))
    else:
        length = struct.pack("!BQ", masked | 127, len(payload))
    return bytes([final << 7 | reserved << 4 | opcode]) + length + (mask or b"") + payload


def pump(reader, *chunks):
    """Let the reader receive chunks; return what came out, and the error that ended it."""
    found = []
    reader.on_control = lambda *frame: found.append(frame)
    for chunk in chunks:
        while chunk:
            space = reader.get_buffer()
            assert len(space) > 0
            count = min(len(space), len(chunk))
            space[:count] = chunk[:count]
            chunk = chunk[count:]
            try:
                for opcode, buffer, start, stop in reader.buffer_updated(count):
                    found.append((opcode, bytes(buffer[start:stop])))
            except FrameError as error:
                return found, error
            scribble(reader)
    return found, None


def scribble(reader):
    """Use the shared buffer as other readers do between two reads of this one."""
    view = reader._shared.view
    if len(view) <= 4096:  # else it takes too long
        view[:] = b"\xff" * len(view)


def bytewise(stream):
    return (stream[at : at + 1] for at in range(len(stream)))


def pattern(size):
    """Bytes that tell a shift by any small amount."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


STREAMS = {
    "nothing": (b"", []),
    **{
        f"{size}-bytes": (frame(pattern(size)), [(BINARY, pattern(size))])
        for size in (0, 1, 2, 125, 126, 127, 255, 256, 65535, 65536, 65537)
    },
    "text": (frame("grüß".encode(), TEXT), [(TEXT, "grüß".encode())]),
    "text-and-binary": (
        frame(b"a", TEXT) + frame(b"b") + frame(b"", TEXT) + frame(b"c"),
        [(TEXT, b"a"), (BINARY, b"b"), (TEXT, b""), (BINARY, b"c")],
    ),
    "many-in-one-read": (
        b"".join(frame(pattern(size)) for size in range(130)),
        [(BINARY, pattern(size)) for size in range(130)],
    ),
    "fragments": (
        frame(b"one", TEXT, final=False)
        + frame(b"", CONTINUATION, final=False)
        + frame(b"two", CONTINUATION, final=False)
        + frame(b"three", CONTINUATION)
        + frame(b"next"),
        [(TEXT, b"onetwothree"), (BINARY, b"next")],
    ),
    "fragments-all-empty": (
        frame(b"", BINARY, final=False) + frame(b"", CONTINUATION),
        [(BINARY, b"")],
    ),
    "two-fragmented-messages": (
        frame(b"a", TEXT, final=False)
        + frame(b"b", CONTINUATION)
        + frame(b"c", BINARY, final=False)
        + frame(b"d", CONTINUATION),
        [(TEXT, b"ab"), (BINARY, b"cd")],
    ),
    "big-fragments": (
        frame(pattern(70000), BINARY, final=False) + frame(pattern(300), CONTINUATION),
        [(BINARY, pattern(70000) + pattern(300))],
    ),
    "ping-between-fragments": (
        frame(b"one", TEXT, final=False)
        + frame(b"are you there", PING)
        + frame(b"", PONG)
        + frame(b"two", CONTINUATION),
        [(PING, b"are you there"), (PONG, b""), (TEXT, b"onetwo")],
    ),
    "longest-ping": (frame(pattern(125), PING), [(PING, pattern(125))]),
    "close-without-code": (frame(b"", CLOSE), [(CLOSE, b"")]),
    "close-with-code": (
        frame(b"last") + frame(struct.pack("!H", 1001) + b"bye", CLOSE),
        [(BINARY, b"last"), (CLOSE, struct.pack("!H", 1001) + b"bye")],
    ),
    "close-between-fragments": (
        frame(b"one", TEXT, final=False) + frame(struct.pack("!H", 1000), CLOSE),
        [(CLOSE, struct.pack("!H", 1000))],
    ),
}
streams = pytest.mark.parametrize(("stream", "expected"), STREAMS.values(), ids=STREAMS)


@streams
def test_whole(stream, expected):
    assert pump(FrameReader(MIB), stream) == (expected, None)


@streams
def test_byte_by_byte(stream, expected):
    assert pump(FrameReader(MIB), *bytewise(stream)) == (expected, None)


@streams
@pytest.mark.parametrize("capacity", [1, 2, 13, 100])
def test_through_a_small_buffer(stream, expected, capacity):
    assert pump(FrameReader(MIB, buffer=ReceiveBuffer(capacity)), stream) == (
        expected,
        None,
    )


@st.composite
def conversations(draw):
    """Return the bytes of some messages, what they are, and the bytes cut anywhere."""
    stream, expected = bytearray(), []
    for _ in range(draw(st.integers(1, 5))):
        opcode = draw(st.sampled_from([TEXT, BINARY]))
        message = pattern(draw(st.sampled_from([0, 1, 125, 126, 300, 40000, 70000])))
        parts = []
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, len(message)))
            parts.append(message[:at])
            message = message[at:]
        parts.append(message)
        for number, part in enumerate(parts):
            stream += frame(
                part, opcode if number == 0 else CONTINUATION, final=number == len(parts) - 1
            )
            if number < len(parts) - 1 and draw(st.booleans()):
                expected.append((PING, b"?"))
                stream += frame(b"?", PING)
        expected.append((opcode, b"".join(parts)))
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    edges = [0, *cuts, len(stream)]
    chunks = [bytes(stream[begin:end]) for begin, end in itertools.pairwise(edges) if end > begin]
    return chunks, expected


@given(conversations(), st.sampled_from([1, 64, 4096]))
def test_however_it_is_cut(conversation, capacity):
    chunks, expected = conversation
    assert pump(FrameReader(MIB, buffer=ReceiveBuffer(capacity)), *chunks) == (
        expected,
        None,
    )


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_end_the_same_however_they_are_cut(stream, cuts):
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    chunks = [stream[begin:end] for begin, end in itertools.pairwise(edges)]
    whole, whole_error = pump(FrameReader(100), stream)
    pieces, pieces_error = pump(FrameReader(100), *chunks)
    assert pieces == whole
    assert str(pieces_error) == str(whole_error)


# -- broken rules ----------------------------------------------------------------------------------

VIOLATIONS = {
    "masked": (frame(b"x", mask=b"abcd"), 1002, "mask"),
    "masked-ping": (frame(b"", PING, mask=b"abcd"), 1002, "mask"),
    "compressed": (frame(b"x", reserved=4), 1002, "reserved bits"),
    "reserved-bit-2": (frame(b"x", reserved=2), 1002, "reserved bits"),
    "reserved-bit-3": (frame(b"x", reserved=1), 1002, "reserved bits"),
    "compressed-ping": (frame(b"x", PING, reserved=4), 1002, "reserved bits"),
    **{
        f"reserved-opcode-{opcode}": (frame(b"x", opcode), 1002, f"reserved opcode {opcode}")
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "fragmented-ping": (frame(b"x", PING, final=False), 1002, "must not be fragmented"),
    "fragmented-close": (frame(b"", CLOSE, final=False), 1002, "must not be fragmented"),
    "long-ping": (frame(bytes(126), PING), 1002, "longer than 125"),
    "long-close": (frame(bytes(70000), CLOSE), 1002, "longer than 125"),
    "continuation-of-nothing": (frame(b"x", CONTINUATION), 1002, "continuation of nothing"),
    "continuation-after-the-end": (
        frame(b"x", TEXT, final=False) + frame(b"", CONTINUATION) + frame(b"", CONTINUATION),
        1002,
        "continuation of nothing",
    ),
    "text-within-text": (
        frame(b"x", TEXT, final=False) + frame(b"y", TEXT),
        1002,
        "before the last one ended",
    ),
    "fragment-within-text": (
        frame(b"x", TEXT, final=False) + frame(b"y", BINARY, final=False),
        1002,
        "before the last one ended",
    ),
    "too-long": (frame(bytes(100_001)), 1009, "100001 bytes, the limit is 100000"),
    "longest-possible": (b"\x82\x7f" + b"\xff" * 8, 1009, "the limit is 100000"),
    "fragments-too-long": (
        frame(bytes(60_000), BINARY, final=False) + frame(bytes(40_001), CONTINUATION),
        1009,
        "100001 bytes, the limit is 100000",
    ),
}
violations = pytest.mark.parametrize(
    ("stream", "close_code", "problem"), VIOLATIONS.values(), ids=VIOLATIONS
)


@violations
def test_a_broken_rule_in_a_read_of_its_own(stream, close_code, problem):
    found, error = pump(FrameReader(100_000), frame(b"before", TEXT), stream)
    assert found[0] == (TEXT, b"before")
    assert problem in str(error)
    assert error.close_code == close_code


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 255, 256, 999, 1000, 1001])
@pytest.mark.parametrize("capacity", [64, 1004, 1005, 4096])
def test_messages_in_reads_of_their_own(size, capacity):
    reader, message = FrameReader(1000, buffer=ReceiveBuffer(capacity)), pattern(size)
    found, error = pump(reader, frame(message, TEXT), frame(message, TEXT))
    if size > 1000:
        assert (found, error.close_code) == ([], 1009)
    else:
        assert (found, error) == ([(TEXT, message)] * 2, None)


@pytest.mark.parametrize("second", range(127, 256))
def test_a_read_as_long_as_a_byte_that_is_no_length(second):
    """127 announces a longer length, and above it is the bit that says that there is a mask."""
    stream = bytes([0x81, second]) + bytes(second)  # found by the fuzzer
    found, error = pump(FrameReader(1000), stream)
    if second == 127:
        assert found == [(TEXT, b"")]
        assert "continuation of nothing" in str(error)
    else:
        assert found == []
        assert "must not mask" in str(error)


def test_a_message_in_a_read_of_its_own_between_fragments():
    chunks = frame(b"x", TEXT, final=False), frame(b"y", TEXT)
    found, error = pump(FrameReader(1000), *chunks)
    assert (found, error.close_code) == ([], 1002)
    chunks = frame(b"x", TEXT, final=False), frame(b"y", CONTINUATION), frame(b"z", TEXT)
    assert pump(FrameReader(1000), *chunks) == ([(TEXT, b"xy"), (TEXT, b"z")], None)


def test_a_message_that_just_fills_what_is_read_at_once():
    reader, message = FrameReader(MIB, buffer=ReceiveBuffer(64)), frame(bytes(62), TEXT)
    assert len(reader.get_buffer()) == len(message)
    assert pump(reader, message, message) == ([(TEXT, bytes(62))] * 2, None)


def test_nothing_comes_in_a_read_of_its_own_after_the_end():
    reader = FrameReader(1000)
    assert pump(reader, frame(b"x", TEXT)) == ([(TEXT, b"x")], None)
    reader.stop()
    assert pump(reader, frame(b"y", TEXT)) == ([], None)


@violations
@pytest.mark.parametrize("cut", [lambda stream: [stream], bytewise], ids=["whole", "bytewise"])
def test_a_broken_rule(stream, close_code, problem, cut):
    found, error = pump(FrameReader(100_000), *cut(frame(b"before", TEXT) + stream))
    assert found[0] == (TEXT, b"before")
    assert problem in str(error)
    assert error.close_code == close_code


def test_a_message_may_be_as_long_as_the_limit():
    whole = frame(bytes(1000))
    parts = frame(bytes(400), BINARY, final=False) + frame(bytes(600), CONTINUATION)
    expected = [(BINARY, bytes(1000))] * 2
    assert pump(FrameReader(1000), whole + parts) == (expected, None)


def test_control_frames_do_not_count_towards_the_limit():
    stream = (
        frame(bytes(10), BINARY, final=False) + frame(bytes(100), PING) + frame(b"", CONTINUATION)
    )
    assert pump(FrameReader(10), stream) == ([(PING, bytes(100)), (BINARY, bytes(10))], None)


@pytest.mark.parametrize(
    "bad",
    [
        frame(b"\xff", TEXT),
        frame(b"\xed\xa0\x80", TEXT),
        frame(b"a", TEXT, final=False) + frame(b"\xc3", CONTINUATION),
    ],
)
def test_text_must_be_utf8_where_asked_for(bad):
    found, error = pump(StrictTextReader(MIB), frame(b"good", TEXT) + bad)
    assert (found, error.close_code) == ([(TEXT, b"good")], 1007)
    assert len(pump(FrameReader(MIB), bad)[0]) == 1


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"", b"\xff"),
        (b"gr\xc3\xbc", b"\xc3\xc3"),
        (b"\xed\xa0", b"\x80"),  # half a surrogate pair
        (b"\xf4", b"\x90"),  # beyond the last character
        (b"x\xe2\x82", b"x"),  # a character that is cut short
    ],
)
@pytest.mark.parametrize(
    "begin",
    [
        lambda good, bad: frame(good + bad + bytes(50), TEXT)[: 2 + len(good + bad)],
        lambda good, bad: (
            frame(good, TEXT, final=False)
            + frame(b"", PING)
            + frame(bad + bytes(50), CONTINUATION)[: 2 + len(bad)]
        ),
    ],
    ids=["one frame", "two frames"],
)
def test_text_is_refused_at_its_first_bad_byte(good, bad, begin):
    stream = begin(good, bad)
    found, error = pump(StrictTextReader(MIB), *bytewise(stream[:-1]))
    assert (error, len(found)) == (None, stream.count(frame(b"", PING)))
    found, error = pump(StrictTextReader(MIB), *bytewise(stream))
    assert error.close_code == 1007


@given(st.text(max_size=20).map(str.encode) | st.binary(max_size=20), st.data())
def test_text_passes_just_when_it_is_utf8(text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    parts = [text[begin:end] for begin, end in itertools.pairwise([0, *cuts, len(text)])]
    stream = b"".join(
        frame(part, CONTINUATION if number else TEXT, final=number == len(parts) - 1)
        for number, part in enumerate(parts)
    )
    chunks = bytewise(stream) if data.draw(st.booleans()) else [stream]
    found, error = pump(StrictTextReader(MIB), *chunks)
    try:
        text.decode()
    except UnicodeDecodeError:
        assert (found, error.close_code) == ([], 1007)
    else:
        assert (found, error) == ([(TEXT, text)], None)


def test_a_character_may_be_cut_by_fragments():
    stream = frame(b"\xc3", TEXT, final=False) + frame(b"\xa4", CONTINUATION) + frame(b"\xff")
    expected = [(TEXT, "ä".encode()), (BINARY, b"\xff")]
    assert pump(StrictTextReader(MIB), stream) == (expected, None)


# -- memory ----------------------------------------------------------------------------------------


def held(reader):
    """Bytes that a reader keeps to itself between two reads."""
    own = 0 if reader._buffer is reader._shared.buffer else len(reader._buffer)
    return own + len(reader._rest)


def test_what_is_too_long_is_refused_before_it_arrives():
    reader = FrameReader(1000)
    _, error = pump(reader, b"\x82\x7f" + struct.pack("!Q", 2**40))
    assert error.close_code == 1009
    assert held(reader) == 0


def test_announcing_much_reserves_little():
    reader = FrameReader(64 * MIB)
    header = b"\x82\x7f" + struct.pack("!Q", 60 * MIB)
    pump(reader, header, bytes(1000))
    assert held(reader) == len(header) + 1000
    pump(reader, bytes(MIB))
    assert MIB <= held(reader) <= 3 * MIB


@pytest.mark.parametrize("size", [1000, 100_000, 300_000, 4 * MIB])
@pytest.mark.parametrize("read", [1000, MOST])
def test_an_unfinished_frame_is_given_little_more_room_than_it_needs(size, read):
    reader, stream = FrameReader(64 * MIB), frame(pattern(size))
    most, chunks = 0, [stream[at : at + read] for at in range(0, len(stream) - 1, read)]
    for chunk in [*chunks[:-1], chunks[-1][:-1]]:
        assert pump(reader, chunk) == ([], None)
        most = max(most, held(reader))
    assert most <= len(stream)
    assert pump(reader, stream[-1:]) == ([(BINARY, pattern(size))], None)
    assert held(reader) == 0


def test_what_is_left_of_a_read_is_all_that_is_kept():
    reader, begun = FrameReader(MIB, buffer=ReceiveBuffer(100)), frame(bytes(50))[:5]
    assert pump(reader, frame(bytes(68)) + begun) == ([(BINARY, bytes(68))], None)
    assert held(reader) == len(begun)
    assert len(reader.get_buffer()) == 100 - len(begun)
    assert pump(reader, frame(bytes(50))[5:]) == ([(BINARY, bytes(50))], None)
    assert held(reader) == 0


def test_the_end_lets_go_of_what_was_begun():
    reader = FrameReader(MIB)
    pump(reader, frame(bytes(300_000))[:-1])
    assert held(reader) > 0
    reader.stop()
    assert held(reader) == 0
    assert len(reader.get_buffer()) == MOST  # what still comes is read, and thrown away


# -- sharing the receive buffer --------------------------------------------------------------------


def test_who_gets_nothing_to_read_loses_nothing_to_the_others():
    shared = ReceiveBuffer(100)
    first, second = (FrameReader(MIB, buffer=shared) for _ in range(2))
    pump(first, frame(b"hello")[:4])
    first.get_buffer()  # the system call was interrupted, or there was nothing
    assert pump(second, frame(bytes(90))) == ([(BINARY, bytes(90))], None)
    assert pump(first, frame(b"hello")[4:]) == ([(BINARY, b"hello")], None)


def traced_growth(reader, stream):
    """Bytes that were allocated, at the peak, while the reader took the stream in."""
    pump(reader, frame(b"warm up"))
    chunks = tuple(stream[at : at + 64] for at in range(0, len(stream), 64))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        found, error = pump(reader, *chunks)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error is None
    return found, peak - before


def test_empty_fragments_without_end_take_no_memory():
    stream = frame(b"", TEXT, final=False) + frame(b"", CONTINUATION, final=False) * 20_000
    found, growth = traced_growth(FrameReader(MIB), stream)
    assert found == []
    assert growth < 20_000  # less than a byte for each


def test_tiny_fragments_take_about_their_size():
    stream = frame(b"", BINARY, final=False) + frame(b"ab", CONTINUATION, final=False) * 20_000
    found, growth = traced_growth(FrameReader(MIB), stream)
    assert found == []
    assert growth < 2 * 40_000


def test_control_frames_come_in_their_turn_and_may_stop_all():
    turns = []

    def on_control(opcode, payload):
        turns.append((opcode, payload))
        if payload == b"stop":
            reader.stop()

    reader = FrameReader(MIB, on_control=on_control)
    parts = frame(b"1"), frame(b"go", PING), frame(b"2"), frame(b"stop", PONG), frame(b"3")
    stream = b"".join(parts)
    reader.get_buffer()[: len(stream)] = stream
    for _, buffer, start, stop in reader.buffer_updated(len(stream)):
        turns.append(bytes(buffer[start:stop]))
    assert turns == [b"1", (PING, b"go"), b"2", (PONG, b"stop")]


# -- where payloads lie ----------------------------------------------------------------------------


def test_payloads_are_not_copied():
    reader = FrameReader(MIB)
    stream = frame(b"one") + frame(b"two") + frame(b"!", PING) + frame(b"half")[:-2]
    reader.get_buffer()[: len(stream)] = stream
    kept = list(reader.buffer_updated(len(stream)))
    assert [bytes(buffer[start:stop]) for _, buffer, start, stop in kept] == [b"one", b"two"]
    assert len({id(buffer) for _, buffer, _, _ in kept}) == 1


def test_joined_messages_outlive_the_next_read():
    reader = FrameReader(MIB, buffer=ReceiveBuffer(32))
    stream = frame(b"a", final=False) + frame(b"b", CONTINUATION)
    reader.get_buffer()[: len(stream)] = stream
    kept = list(reader.buffer_updated(len(stream)))
    pump(reader, frame(bytes(1000)), frame(bytes(1000)))
    assert kept == [(BINARY, b"ab", 0, 2)]


def test_a_buffer_that_is_still_held_hinders_nothing():
    reader = FrameReader(MIB, buffer=ReceiveBuffer(64))
    reader.get_buffer()[:3] = frame(b"x")
    held = [memoryview(buffer) for _, buffer, _, _ in reader.buffer_updated(3)]
    stream = frame(pattern(500_000)) + frame(b"y") * 50
    expected = [(BINARY, pattern(500_000)), *[(BINARY, b"y")] * 50]
    assert pump(reader, stream) == (expected, None)
    assert len(held[0]) == 64


# -- close frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", (None, "")),
        (b"\x03\xe8", (1000, "")),
        (b"\x03\xe8bye", (1000, "bye")),
        (b"\x03\xf3" + "grüß".encode(), (1011, "grüß")),
        *((struct.pack("!H", code), (code, "")) for code in (1001, 1014, 3000, 4000, 4999)),
    ],
)
def test_close_frame(payload, expected):
    assert CloseFrame.parse(payload) == expected


@pytest.mark.parametrize(
    ("payload", "close_code"),
    [
        (b"\x03", 1002),
        *(
            (struct.pack("!H", code), 1002)
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
        ),
        (b"\x03\xe8\xff", 1007),
    ],
)
def test_close_frame_that_breaks_the_rules(payload, close_code):
    with pytest.raises(FrameError) as caught:
        CloseFrame.parse(payload)
    assert caught.value.close_code == close_code
