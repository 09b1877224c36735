"""The two signatures that a webhook handler may have, recognised when it is registered."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from ..errors import ConfigurationError
from .http_messages import WebhookPayload, WebhookRequest, WebhookResponse

__all__ = ["FullHandler", "Handler", "SimpleHandler", "decides_answer"]

SimpleHandler = Callable[[WebhookPayload], object]
FullHandler = Callable[[WebhookPayload, WebhookRequest, WebhookResponse], object]
Handler = SimpleHandler | FullHandler

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def decides_answer(handler: object) -> bool:
    """Return whether a handler wants ``payload, request, response`` rather than ``payload`` alone.

    What it cannot do without decides: parameters with defaults and ``*args`` stay as they are. So
    ``handle(payload, database=DATABASE)`` and ``handle(*args)`` get the payload alone.

    Raises:
        ConfigurationError: it can be called in neither way.
    """
    if not callable(handler):
        raise ConfigurationError(f"a handler must be callable, not {type(handler).__name__}")
    try:
        signature = inspect.signature(handler, follow_wrapped=False)
        wrapped = inspect.signature(handler)
    except Exception:  # noqa: BLE001 - some written in C have none; one argument is the rule
        return False
    kinds = [one.kind for one in signature.parameters.values()]
    # A decorator's function that takes anything hands it on to what it wraps, mostly.
    shape = _shape(wrapped) if inspect.Parameter.VAR_POSITIONAL in kinds else None
    if shape is None:
        shape = _shape(signature)
    if shape is None:
        raise ConfigurationError(
            f"a webhook handler takes (payload) or (payload, request, response), not {signature}"
        )
    return shape


def _shape(signature: inspect.Signature) -> bool | None:
    """Return whether that is a handler with three arguments; ``None`` where it is no handler."""
    parameters = signature.parameters.values()
    positional = [one for one in parameters if one.kind in _POSITIONAL]
    needed = sum(one.default is one.empty for one in positional)
    any_number = any(one.kind is one.VAR_POSITIONAL for one in parameters)
    names = any(one.kind is one.KEYWORD_ONLY and one.default is one.empty for one in parameters)
    if not names and needed <= 1 and (positional or any_number):
        return False
    if not names and 2 <= needed <= 3 and (len(positional) >= 3 or any_number):
        return True
    return None
