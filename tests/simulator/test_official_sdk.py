"""A client that nobody here wrote: Zoom's own SDK gets everything from the simulator.

It is looked for in this Python, or in the one that ``RTMS_OFFICIAL_PYTHON`` names. tox installs it
where there is a wheel: Linux x86-64 with glibc 2.34 or newer.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import sys

import pytest
from gevent import subprocess

CLIENT = pathlib.Path(__file__).with_name("official_client.py")


@pytest.fixture(scope="module")
def official_python():
    python = os.environ.get("RTMS_OFFICIAL_PYTHON", sys.executable)
    try:
        probe = subprocess.run(
            [python, "-c", "import rtms"], capture_output=True, timeout=30, check=False
        )
    except OSError as error:
        pytest.skip(f"RTMS_OFFICIAL_PYTHON cannot be run: {error}")
    if probe.returncode:
        problem = probe.stderr.decode("utf-8", "replace").strip().splitlines()
        pytest.skip(f"Zoom's rtms package cannot be imported: {problem[-1:]}")
    return python


@pytest.mark.parametrize(
    ("tls", "scenario", "options"),
    [
        (False, "short", {}),
        (True, "short", {"binary": True, "fragment": 1000}),
        (True, "standup", {"speed": 5}),
    ],
)
def test_the_official_sdk_gets_everything(
    official_python, simulate, tmp_path, tls, scenario, options
):
    (tmp_path / "logs").mkdir()  # it writes there, and complains loudly where it cannot
    simulator = simulate(scenario, tls=tls, record=True, keep_alive=1.0, **options)
    meeting = simulator.meeting
    environment = {
        **os.environ,
        "ZM_RTMS_CLIENT": simulator.client_id,
        "ZM_RTMS_SECRET": simulator.client_secret,
    }
    environment.pop("ZM_RTMS_CA", None)
    if tls:
        environment["ZM_RTMS_CA"] = simulator.ca
    done = subprocess.run(
        [official_python, str(CLIENT), json.dumps(meeting.payload)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        timeout=55,
        check=True,
    )
    report = json.loads(done.stdout.decode().splitlines()[-1])
    assert report["reasons"] == {"join": 0, "leave": 6}
    assert meeting.finished.wait(5)
    for kind, name in ((1, "audio"), (2, "video"), (4, "deskshare"), (8, "transcript")):
        sent = meeting.sent[kind]
        assert sent.messages > 0
        assert report["got"][name] == [
            hashlib.sha256(payload).hexdigest() for payload in sent.payloads
        ], name
    events = [json.loads(event) for event in report["events"]]
    assert events == meeting.events_sent
    assert {event["event_type"] for event in events} >= {1, 2, 3, 4, 5, 6, 8, 9}
    assert any(message["msg_type"] == 13 for message in meeting.received)
