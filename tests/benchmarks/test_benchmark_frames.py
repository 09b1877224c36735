"""What the load generator writes must be what both SDKs read."""

from __future__ import annotations

import pytest

from benchmarks.load.frames import StampedFrame, frame, keep_alive
from benchmarks.workload import BEGIN, END, MARKS, STAMP_DIGITS, STAMP_ZERO, WARM_UP, Workload
from rtms_gevent import MediaDataType, Product
from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.transport.frames import FrameReader


def read(data):
    """Return the messages in ``data``."""
    reader, codec, messages = FrameReader(1 << 20), JsonCodec(Product.MEETING), []
    while data:
        space = reader.get_buffer()
        count = min(len(space), len(data))
        space[:count] = data[:count]
        data = data[count:]
        messages += [
            codec.decode(bytes(buffer[start:stop]))
            for _, buffer, start, stop in reader.buffer_updated(count)
        ]
    return messages


@pytest.mark.parametrize("size", [0, 160, 20_000, 200_000])
@pytest.mark.parametrize(
    ("media", "kind"), [("audio", MediaDataType.AUDIO), ("video", MediaDataType.VIDEO)]
)
def test_a_packet_has_its_size_and_its_stamp(media, kind, size):
    packet = StampedFrame(media, size)
    stamps = [BEGIN, STAMP_ZERO + 123_456_789, END]
    messages = read(b"".join(bytes(packet.stamp(stamp)) for stamp in stamps))
    assert [message.timestamp for message in messages] == stamps
    assert {message.media_type for message in messages} == {kind}
    assert {len(message.data) for message in messages} == {size}


def test_marks_can_be_told_from_times():
    assert all(STAMP_ZERO < mark < MARKS for mark in (BEGIN, END, WARM_UP))
    assert len(str(BEGIN)) == len(str(10 * STAMP_ZERO - 1)) == STAMP_DIGITS


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_lengths_of_frames(size):
    reader = FrameReader(1 << 20)
    data, payloads = frame(bytes(size)), []
    while data:
        space = reader.get_buffer()
        count = min(len(space), len(data))
        space[:count] = data[:count]
        data = data[count:]
        payloads += [
            bytes(buffer[start:stop]) for _, buffer, start, stop in reader.buffer_updated(count)
        ]
    assert payloads == [bytes(size)]


def test_a_keep_alive_has_what_the_official_sdk_needs():
    (message,) = read(keep_alive(7, 1_738_392_033_699))
    assert (message.raw["sequence"], message.raw["timestamp"]) == (7, 1_738_392_033_699)


def test_a_workload_travels_as_json():
    workload = Workload("paced", streams=3, media="video", tls=True, seconds=0.5)
    assert Workload.from_json(workload.to_json()) == workload
