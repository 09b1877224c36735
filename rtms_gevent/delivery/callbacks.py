"""The functions that users register, by name, and what each is called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from ..enums import MediaDataType
from ..errors import ConfigurationError

__all__ = [
    "EVENTS",
    "MEDIA_NAMES",
    "PARAMETERS",
    "SIGNALS_ONLY",
    "Callbacks",
    "check_function",
]

#: What each callback of a client is called with, by position; its name follows ``on_``.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "join_confirm": ("reason",),
    "leave": ("reason",),
    "end": ("reason",),
    **dict.fromkeys(
        ("audio_data", "video_data", "deskshare_data", "transcript_data", "chat_data"),
        ("data", "size", "timestamp", "metadata"),
    ),
    "session_update": ("op", "session"),
    "user_update": ("op", "participant"),
    "participant_event": ("event", "timestamp", "participants"),
    "active_speaker_event": ("timestamp", "user_id", "user_name"),
    "sharing_event": ("event", "timestamp", "user_id", "user_name"),
    "media_connection_interrupted": ("timestamp",),
    "participant_video": ("user_ids", "is_on"),
    "video_subscribed": ("user_id", "status", "error"),
    "event_ex": ("event",),
    "interrupted": ("what", "error"),
    "reconnecting": ("attempt", "delay"),
    "reconnected": ("outage",),
    "gave_up": ("error",),
    "media_gap": ("gap",),
}


def check_function(where: str, function: object, parameters: tuple[str, ...]) -> None:
    """Refuse a function that each call with ``parameters``, by position, would fail with.

    What has no signature to look at, as some functions in C, is taken as it is.

    Args:
        where: What it is registered with, for the error.
        function: What the user gave.
        parameters: Their names are for the error, too.

    Raises:
        ConfigurationError: it cannot be called so.
    """
    called_with = f"({', '.join(parameters)})"
    if not callable(function):
        raise ConfigurationError(
            f"{where} needs a function that takes {called_with}, not {type(function).__name__}"
        )
    try:
        # What is called, not what it wraps: a decorator may fill in arguments of its own.
        signature = inspect.signature(function, follow_wrapped=False)
    except Exception:  # noqa: BLE001 - beside C functions: annotations that name what is not there
        return
    try:
        signature.bind(*parameters)
    except TypeError as problem:
        name = getattr(function, "__qualname__", type(function).__name__)
        raise ConfigurationError(
            f"{where} calls its function with {called_with}, and {name}() cannot be called so: "
            f"{problem}"
        ) from None


#: Name of each media type's callback and signal.
MEDIA_NAMES = {
    MediaDataType.AUDIO: "audio_data",
    MediaDataType.VIDEO: "video_data",
    MediaDataType.DESKSHARE: "deskshare_data",
    MediaDataType.TRANSCRIPT: "transcript_data",
    MediaDataType.CHAT: "chat_data",
}

#: Names of the arguments of each event, which are the arguments of the signal of that name.
EVENTS: dict[str, tuple[str, ...]] = {
    "joining": ("stream_id", "uuid", "product"),
    "joined": ("stream_id", "uuid"),
    "left": ("stream_id", "reason"),
    "error": ("error", "where"),
    "stream_state": ("state", "reason", "timestamp"),
    "session_state": ("state", "session_id", "reason", "timestamp"),
    "other_message": ("message", "socket"),
    # These are the arguments of the callback of the same name.
    **{
        name: PARAMETERS[name]
        for name in (
            "session_update",
            "user_update",
            "participant_event",
            "active_speaker_event",
            "sharing_event",
            "media_connection_interrupted",
            "participant_video",
            "video_subscribed",
            "interrupted",
            "reconnecting",
            "reconnected",
            "gave_up",
            "media_gap",
        )
    },
    "event_ex": (*PARAMETERS["event_ex"], "update"),
}

#: Events without a callback of their name.
SIGNALS_ONLY = frozenset({"joining", "error", "stream_state", "session_state", "other_message"})


class Callbacks:
    """The user's functions by name: one each, a newer one replaces the older."""

    __slots__ = ("functions",)

    def __init__(self) -> None:
        self.functions: dict[str, Callable[..., object]] = {}

    def set(self, name: str, function: Callable[..., object]) -> None:
        """Register ``function``.

        Raises:
            ConfigurationError: it cannot be called with what this callback gets.
        """
        check_function(f"on_{name}", function, PARAMETERS[name])
        self.functions[name] = function

    def get(self, name: str) -> Callable[..., object] | None:
        """Return the function registered under ``name``."""
        return self.functions.get(name)
