"""The targets hold for what they begin with and for arbitrary bytes; and they can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.transport.frames import FrameReader
from rtms_gevent.webhook import signature

from .source import Source
from .targets import TARGETS, seeds

targets = pytest.mark.parametrize("target", TARGETS)


@targets
def test_seeds(target):
    for seed in seeds(target):
        TARGETS[target](seed)


@targets
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes(target, data):
    TARGETS[target](data)


@targets
@given(data=st.data())
def test_seeds_with_changes(target, data):
    seed = bytearray(data.draw(st.sampled_from(seeds(target))))
    for at in data.draw(st.lists(st.integers(0, len(seed) - 1), max_size=6)):
        seed[at] = data.draw(st.integers(0, 255))
    TARGETS[target](bytes(seed))


def test_frames_tells_what_depends_on_cuts(monkeypatch):
    data = b"\0\0\x81\x02hi"
    TARGETS["frames"](data)
    whole = FrameReader.buffer_updated
    monkeypatch.setattr(
        FrameReader,
        "buffer_updated",
        lambda self, count: whole(self, count) if count > 1 else iter(()),
    )
    with pytest.raises(AssertionError, match="cut otherwise"):
        TARGETS["frames"](data)


def test_decoder_tells_other_exceptions(monkeypatch):
    data = b"\0\0\2\1{"
    TARGETS["decoder"](data)
    monkeypatch.setattr(JsonCodec, "_parse", lambda self, payload: json.loads(payload))
    with pytest.raises(json.JSONDecodeError):
        TARGETS["decoder"](data)


def test_webhook_tells_forged_events(monkeypatch):
    data = b"\0\1\0\1!\1" + seeds("webhook")[0][5:]
    TARGETS["webhook"](data)
    monkeypatch.setattr(signature.hmac, "compare_digest", lambda *_: True)
    with pytest.raises(AssertionError, match="forged event was taken"):
        TARGETS["webhook"](data)


def test_webhook_tells_a_signing_oracle(monkeypatch):
    start = b"\0\0\0\0\1"
    document = {"event": "endpoint.url_validation", "payload": {"plainToken": "v0:1:{}"}}
    data = start + json.dumps(document).encode()
    TARGETS["webhook"](data)
    monkeypatch.setattr(
        "rtms_gevent.webhook.receiver.is_plain_token", lambda token: isinstance(token, str)
    )
    monkeypatch.setattr(
        "rtms_gevent.webhook.signature.is_plain_token", lambda token: isinstance(token, str)
    )
    with pytest.raises(AssertionError, match="what a stranger likes"):
        TARGETS["webhook"](data)


def test_source_is_used_up_from_the_front():
    source = Source(bytes([3, 1, 7]) + b"abc")
    assert (source.byte(), source.flag(), source.choose("xyz")) == (3, True, "y")
    assert (source.take(1), source.rest(), source.rest()) == (b"a", b"bc", b"")
    assert (source.byte(), source.choose("xyz"), source.document(["name"])) == (0, "x", {})


@given(st.binary(max_size=200))
def test_documents_are_json(data):
    document = Source(data).document(["a", "b"])
    assert json.loads(json.dumps(document)) == document


def test_replay(tmp_path):
    finding = tmp_path / "finding"
    finding.write_bytes(seeds("frames")[0])
    command = [sys.executable, "-m", "fuzz", "frames", "--replay", str(finding)]
    subprocess.run(command, cwd=Path(__file__).parents[1], check=True, timeout=50)
