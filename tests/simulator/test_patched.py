"""The simulator in processes with and without monkey-patching, with a blocking stdlib client."""

from __future__ import annotations

import sys

import pytest
from gevent import subprocess

SCRIPT = """
import sys
if "patched" in sys.argv:
    from gevent import monkey; monkey.patch_all()
import gevent, hashlib, hmac, json
from rtms_gevent.simulator import Simulator
if "patched" in sys.argv:
    import socket, ssl, threading as threads  # the patched ones
else:
    from gevent import socket
import websocket

def connect(url):
    host, port = url.split("/")[2].split(":")
    return websocket.create_connection(url, socket=socket.create_connection((host, int(port))))

with Simulator("short", speed=6) as simulator:
    meeting = simulator.meeting
    text = f"{simulator.client_id},{meeting.uuid},{meeting.stream_id}".encode()
    secret = simulator.client_secret.encode()
    ids = {
        "meeting_uuid": meeting.uuid,
        "rtms_stream_id": meeting.stream_id,
        "signature": hmac.new(secret, text, hashlib.sha256).hexdigest(),
    }
    signaling = connect(simulator.signaling_url)
    signaling.send(json.dumps({"msg_type": 1, **ids}))
    urls = json.loads(signaling.recv())["media_server"]["server_urls"]
    media = connect(urls["transcript"])
    media.send(json.dumps({"msg_type": 3, "media_type": 8, **ids}))
    media.recv()
    signaling.send(json.dumps({"msg_type": 7, "rtms_stream_id": meeting.stream_id}))
    assert json.loads(media.recv())["content"]["data"] == "Goodbye!"
    signaling.close(); media.close()
print("fine")
"""


@pytest.mark.parametrize("mode", ["patched", "plain"])
def test_both_kinds_of_process(mode):
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", SCRIPT, mode],
        capture_output=True, timeout=40, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"fine\n", b""), done.stderr.decode()
