"""Logging as the official SDK offers it, on top of the standard library's.

Everything in this package logs to loggers under ``rtms_gevent``. Importing configures nothing: a
program that sets up :mod:`logging` sees and steers these loggers as any others. Where it does not,
``rtms_gevent.run()`` and the command line, which own the process, write to standard error as
``ZM_RTMS_LOG_LEVEL``, ``ZM_RTMS_LOG_FORMAT`` and ``ZM_RTMS_LOG_ENABLED`` say. No files are written.

No secret, signature, name of a person or payload is logged at any level, with two exceptions:
``WebhookSettings.debug_signatures``, which is off by default, and one line with the link that opens
the live page, where nobody has chosen its token.

Source of names and values: the official Python package ``rtms`` 1.1.0.
"""

from __future__ import annotations

import datetime
import enum
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from ._environment import boolean, log_options
from .errors import ConfigurationError

__all__ = [
    "TRACE",
    "LogFormat",
    "LogLevel",
    "configure_from_environment",
    "configure_logger",
    "log_debug",
    "log_error",
    "log_info",
    "log_warn",
]

logger = logging.getLogger(__name__)

#: A level below ``logging.DEBUG``, for single messages on sockets.
TRACE = 5

_ROOT = __package__ or "rtms_gevent"

_Kind = TypeVar("_Kind", bound=enum.Enum)


class LogLevel(enum.IntEnum):
    """How much is logged. The numbers are the official SDK's, not those of :mod:`logging`."""

    ERROR = 0
    WARN = 1
    INFO = 2
    DEBUG = 3
    TRACE = 4


class LogFormat(str, enum.Enum):
    """How a line looks: for people, or one JSON object."""

    PROGRESSIVE = "progressive"
    JSON = "json"


_LEVELS = {
    LogLevel.ERROR: logging.ERROR,
    LogLevel.WARN: logging.WARNING,
    LogLevel.INFO: logging.INFO,
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.TRACE: TRACE,
}
_OFF = logging.CRITICAL + 1


class _Settings(NamedTuple):
    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.PROGRESSIVE
    enabled: bool = True


_settings = _Settings()
_handler: logging.Handler | None = None


def configure_logger(options: Mapping[str, object]) -> None:
    """Write this package's log to standard error; for programs that do not set up logging.

    What is not given stays as it was: at first ``info``, ``progressive`` and enabled. The loggers
    then no longer hand their records to the root logger, so that no line comes twice.

    Args:
        options: ``level`` (a :class:`LogLevel` or its name), ``format`` (a :class:`LogFormat` or
            its name) and ``enabled`` (False logs nothing at all).

    Raises:
        ConfigurationError: there is no such option, or it cannot have that value; nothing was
            changed.
    """
    unknown = set(options) - set(_READERS)
    if unknown:
        raise ConfigurationError(
            f"configure_logger() has no option {sorted(map(str, unknown))[0]!r:.40}; it has "
            f"{', '.join(_READERS)}"
        )
    _apply(_settings._replace(**{name: _READERS[name](options[name]) for name in options}))


def configure_from_environment() -> None:
    """Do what the environment says about logging; for whoever owns the process.

    Where the program has given the root logger or the one of this package a handler, nothing is
    touched. A value that is not allowed costs one warning, and its default is used.
    """
    if logging.getLogger(_ROOT).handlers or logging.getLogger().handlers:
        return
    settings, problems = _Settings(), []
    for name, text in log_options().items():
        try:
            settings = settings._replace(**{name: _READERS[name](text)})
        except ConfigurationError as problem:
            problems.append(f"ZM_RTMS_LOG_{name.upper()}: {problem}")
    _apply(settings)
    if problems:
        logger.warning("ignored in the environment: %s", "; ".join(problems))


def _apply(settings: _Settings) -> None:
    """Give this package's logger the one handler that we own, or take it away."""
    global _settings, _handler
    root = logging.getLogger(_ROOT)
    if _handler is not None:
        root.removeHandler(_handler)
    _settings, _handler = settings, None
    logging.addLevelName(TRACE, "TRACE")
    root.setLevel(_LEVELS[settings.level] if settings.enabled else _OFF)
    if settings.enabled:
        _handler = logging.StreamHandler()
        _handler.setFormatter(_FORMATTERS[settings.format]())
        root.addHandler(_handler)
    root.propagate = not settings.enabled


def _member(kind: type[_Kind], value: object) -> _Kind:
    for member in kind:
        if value == member.value and not isinstance(value, bool):
            return member
        if isinstance(value, str) and value.strip().upper() == member.name:
            return member
    allowed = ", ".join(member.name.lower() for member in kind)
    raise ConfigurationError(f"must be one of {allowed}, not {value!r:.40}")


_READERS: Mapping[str, Callable[[object], Any]] = {
    "level": lambda value: _member(LogLevel, value),
    "format": lambda value: _member(LogFormat, value),
    "enabled": lambda value: boolean(value, "enabled"),
}


class _ProgressiveFormatter(logging.Formatter):
    """Lines for people, shaped as the official SDK's: component, local time, level, message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s | %(levelname)-7s | %(message)s")
        self.default_msec_format = "%s.%03d"

    def formatMessage(self, record: logging.LogRecord) -> str:
        # Here, not by an attribute of the record: other handlers see the same record.
        component = record.name.removeprefix(f"{_ROOT}.")
        return f"{component:<8} | {super().formatMessage(record)}"


class _JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
        line: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        details = getattr(record, "details", None)
        if details is not None:
            line["details"] = details
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


_FORMATTERS: Mapping[LogFormat, Callable[[], logging.Formatter]] = {
    LogFormat.PROGRESSIVE: _ProgressiveFormatter,
    LogFormat.JSON: _JsonFormatter,
}


def log_debug(component: str, message: str, details: object = None) -> None:
    """Log for the program, under ``rtms_gevent.<component>``.

    Args:
        component: Which part of the program speaks.
        message: The text, as it is: per cent signs have no meaning.
        details: Anything; the JSON format writes it, as text where JSON has no form for it.
    """
    _log(logging.DEBUG, component, message, details)


def log_info(component: str, message: str, details: object = None) -> None:
    """Log as :func:`log_debug` does, as information."""
    _log(logging.INFO, component, message, details)


def log_warn(component: str, message: str, details: object = None) -> None:
    """Log as :func:`log_debug` does, as a warning."""
    _log(logging.WARNING, component, message, details)


def log_error(component: str, message: str, details: object = None) -> None:
    """Log as :func:`log_debug` does, as an error."""
    _log(logging.ERROR, component, message, details)


def _log(level: int, component: str, message: str, details: object) -> None:
    # Three frames up is the program's call; a record would name this file else.
    logging.getLogger(f"{_ROOT}.{component}").log(
        level, message, extra={"details": details}, stacklevel=3
    )
