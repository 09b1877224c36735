"""A stage in a process of its own, for all tests that need a real server."""

from __future__ import annotations

import base64
import json
import pathlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

HERE = pathlib.Path(__file__).parent


class Theatre:
    """Tells a stage in another process what to play."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}/rtms/live/"

    def act(self, *acts: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"http://{self.address}/act", data=json.dumps(acts).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 204

    def contexts(self) -> int:
        """Return how many requests hold their context now, this one included."""
        with urllib.request.urlopen(f"http://{self.address}/contexts", timeout=10) as answer:
            return int(answer.read())

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}stats", timeout=10) as answer:
            stats: dict[str, Any] = json.load(answer)
        return stats


class Script:
    """Writes the acts of one stream."""

    def __init__(self, stream: str) -> None:
        self.stream = stream

    def signal(self, name: str, **arguments: Any) -> dict[str, Any]:
        return {"signal": name, "stream": self.stream, "arguments": arguments}

    def begin(self, uuid: str = "4Jk2mQ==") -> list[dict[str, Any]]:
        return [
            self.signal("joining", stream_id=self.stream, uuid=uuid, product="meeting_uuid"),
            self.signal("joined", stream_id=self.stream, uuid=uuid),
        ]

    def end(self, reason: int = 6) -> dict[str, Any]:
        return self.signal("left", stream_id=self.stream, reason=reason)

    def arrive(self, user: int, name: str) -> dict[str, Any]:
        people = [{"user_id": user, "user_name": name}]
        return self.signal("participant_event", event="join", timestamp=1, participants=people)

    def speak(self, user: int, name: str) -> dict[str, Any]:
        return self.signal("active_speaker_event", timestamp=1, user_id=user, user_name=name)

    def media(self, kind: str, data: str | bytes, **metadata: Any) -> dict[str, Any]:
        packed = (
            {"text": data} if isinstance(data, str) else {"b64": base64.b64encode(data).decode()}
        )
        return self.signal(f"{kind}_data", data=packed, metadata=metadata)


@pytest.fixture(scope="session")
def theatre() -> Iterator[Theatre]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "stage.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield Theatre(int(process.stdout.readline()))
        finally:
            process.stdin.close()
            process.wait(10)


@pytest.fixture
def script(request: pytest.FixtureRequest) -> Script:
    return Script(request.node.name)
