"""What holds for every meeting of one simulator."""

from __future__ import annotations

import dataclasses

from ..errors import ConfigurationError

__all__ = ["Options"]


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
    #: Send JSON in binary frames.
    binary: bool = False
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
        for name in ("client_id", "client_secret"):
            if not getattr(self, name):
                raise ConfigurationError(f"{name} must not be empty")
