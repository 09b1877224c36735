"""A feed, and the signals of a stream that a test sends."""

from __future__ import annotations

from typing import Any

from rtms_gevent import signals
from rtms_gevent.enums import MessageAttribute
from rtms_gevent.live.feed import Feed
from rtms_gevent.live.recorder import Recorder
from rtms_gevent.protocol.metadata import ChatDetails, Metadata

from .page_app import FakeClient

NEW = MessageAttribute.NEW
JPG = b"\xff\xd8\xff\xe0"
LOUD = b"\xff\x7f" * 320


class Recording:
    """A feed, its recorder, and one stream whose signals a test sends."""

    def __init__(self, **options: Any) -> None:
        self.now = 1000.0
        self.feed = Feed(now=lambda: self.now)
        self.recorder = Recorder(self.feed, **options)
        self.recorder.connect()
        self.client = FakeClient("one")

    def emit(self, name: str, client: FakeClient | None = None, **arguments: Any) -> None:
        signals.emit(getattr(signals, name), client or self.client, **arguments)

    def media(
        self, name: str, data: bytes, client: FakeClient | None = None, **fields: Any
    ) -> None:
        metadata = Metadata(**{"userId": 7, "userName": "Ada", **fields})
        self.emit(name, client, data=data, size=len(data), timestamp=5000, metadata=metadata)

    def say(self, text: str, attribute: int | None = NEW, start: int = 1) -> None:
        self.media("transcript_data", text.encode(), startTs=start, attribute=attribute)

    def chat(self, text: str, operation: int | None, message_id: str) -> None:
        details = ChatDetails(operation=operation, message_id=message_id)
        self.media("chat_data", text.encode(), chat=details)

    def detail(self, since: int = 0) -> dict[str, Any]:
        return self.feed.changes(since, "one", since).detail

    def about(self) -> dict[str, Any]:
        return next(about for about in self.feed.changes(0).streams if about["id"] == "one")


def texts(lines: list[dict[str, Any]]) -> list[str]:
    return [line["text"] for line in lines]
