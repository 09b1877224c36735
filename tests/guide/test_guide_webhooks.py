"""Webhook integration, webhook validation, and the environment."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import time

import pytest
from support.rawserver import unused_port

from .program import ENVIRONMENT, Program, simulator, start


def signed(body, secret=ENVIRONMENT["ZM_RTMS_WEBHOOK_SECRET"], **headers):
    """Return what Zoom's guide says that Zoom sends."""
    timestamp = str(int(time.time()))
    message = b"v0:" + timestamp.encode() + b":" + body
    signature = "v0=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return {"x-zm-request-timestamp": timestamp, "x-zm-signature": signature, **headers}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_transcript_is_printed(number):
    with Program("webhook") as program, simulator(program) as zoom:
        start(zoom.meeting)
        zoom.meeting.send_transcript("Good morning", 5, "Ana", timestamp=1738392033699)
        program.wait_for("[1738392033699] Ana: Good morning")
        assert program.stop(number) == 0
        assert "Traceback" not in "".join(program.errors)


def test_what_zoom_signed_passes_and_what_it_did_not_is_401():
    with Program("webhook_validation") as program, simulator(program) as zoom:
        start(zoom.meeting)
        zoom.meeting.send_transcript("Good morning", 5, "Ana")
        program.wait_for("Ana: Good morning")

        # Spaces and letters that JSON could write otherwise: what counts are the bytes.
        odd = '{ "event" : "meeting.ended", "payload":{"topic": "Caf\u00e9 \U0001f44b"}}'.encode()
        assert program.post(odd, signed(odd)) == (200, b'{"status": "ok"}')
        assert program.post(odd + b" ", signed(odd))[0] == 401
        assert program.post(odd, signed(odd, secret="another"))[0] == 401
        assert program.post(odd, {})[0] == 401
        assert program.stop() == 0


def test_the_validation_challenge_is_answered():
    with Program("webhook_validation") as program, simulator(program) as zoom:
        start(zoom.meeting)
        assert zoom.validate_webhook()  # by the server, with the encrypted token
        # By the example's own branch, for the header that it looks for.
        body = json.dumps({"event": "app.validation", "payload": {}}).encode()
        status, answer = program.post(body, signed(body, **{"x-zm-webhook-validator": "token"}))
        assert (status, json.loads(answer)) == (200, {"plainToken": "token"})
        assert program.stop() == 0


def test_settings_come_from_a_file(tmp_path):
    """``.env`` as in the guide, read after the import."""
    port = unused_port()
    (tmp_path / ".env").write_text(
        f"""
# Required
ZM_RTMS_CLIENT={ENVIRONMENT["ZM_RTMS_CLIENT"]}
ZM_RTMS_SECRET={ENVIRONMENT["ZM_RTMS_SECRET"]}

# Optional
ZM_RTMS_PORT={port}
ZM_RTMS_PATH=/webhook
ZM_RTMS_LOG_LEVEL=info          # error, warn, info, debug, trace
ZM_RTMS_LOG_FORMAT=json  # progressive or json
ZM_RTMS_LOG_ENABLED=true

# Ours: sign webhooks, and dial the simulator
ZM_RTMS_WEBHOOK_SECRET={ENVIRONMENT["ZM_RTMS_WEBHOOK_SECRET"]}
ZM_RTMS_ALLOWED_HOSTS=127.0.0.1
"""
    )
    with Program("environment", directory=tmp_path, environment={}) as program:
        program.port = port
        with simulator(program, "/webhook") as zoom:
            start(zoom.meeting)
            zoom.meeting.send_transcript("Good morning", 5, "Ana")
            program.wait_for("Ana Good morning")
            assert program.stop() == 0
        lines = [json.loads(line) for line in program.errors]
        assert {line["level"] for line in lines} <= {"info", "warn", "warning", "error"}
        assert lines
        assert [path.name for path in tmp_path.iterdir()] == [".env"]  # no log files
