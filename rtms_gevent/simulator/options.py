"""Options of a simulator, which all of its meetings share."""

from __future__ import annotations

import dataclasses

from ..errors import ConfigurationError

__all__ = ["BINARY", "Options"]

#: What can be sent in binary frames.
BINARY = ("all", "media", "messages")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the simulator behaves on the wire, whatever the scenario."""

    client_id: str
    client_secret: str = dataclasses.field(repr=False)
    #: Where webhooks are posted; None posts none.
    webhook_url: str | None = None
    #: Signs webhooks.
    webhook_secret: str = dataclasses.field(default="", repr=False)
    #: Scenario seconds per real second.
    speed: float = 1.0
    #: Real seconds between two keep-alives.
    keep_alive: float = 10.0
    #: Real seconds that a lost signaling socket may take to come back.
    signaling_window: float = 60.0
    #: Real seconds that a lost media socket may take to come back.
    media_window: float = 65.0
    #: What is sent in binary frames: "media", "messages" (all that is no media), or "all".
    binary: bool | str = False
    #: Take what clients were seen to send, though Zoom's documents forbid it.
    lenient: bool = False
    #: Split messages into frames of so many bytes.
    fragment: int | None = None
    #: Keep every payload that was sent.
    record: bool = False
    #: Add sequence numbers and send times to media.
    stamp: bool = False

    def __post_init__(self) -> None:
        for name in ("speed", "keep_alive", "signaling_window", "media_window"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
                raise ConfigurationError(f"{name} must be a number above 0, not {value!r}")
        if self.fragment is not None and (
            isinstance(self.fragment, bool)
            or not isinstance(self.fragment, int)
            or self.fragment < 1
        ):
            raise ConfigurationError(f"fragment must be a whole number above 0: {self.fragment!r}")
        if not isinstance(self.binary, bool) and self.binary not in BINARY:
            raise ConfigurationError(
                f"binary must be true, false or one of {', '.join(BINARY)}, not {self.binary!r}"
            )
        for name in ("client_id", "client_secret"):
            if not getattr(self, name):
                raise ConfigurationError(f"{name} must not be empty")

    def is_binary(self, *, is_media: bool) -> bool:
        """Whether a message travels in binary frames."""
        return self.binary in (True, "all", "media" if is_media else "messages")
