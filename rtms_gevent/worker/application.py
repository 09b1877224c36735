"""Loads an app by the name that gunicorn would take for it."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from typing import Any

from ..errors import ConfigurationError

__all__ = ["load_app"]


def load_app(name: str) -> object:
    """Import an app, or call the factory that makes it; modules of this directory come first.

    Args:
        name: ``module:app``, ``module:create_app()`` or ``module:create_app("production")``;
            without a colon the app is ``application``.

    Raises:
        ConfigurationError: there is no such module, or nothing of that name in it.
        Exception: what the app's own code raises.
    """
    module_name, _, expression = name.partition(":")
    attribute, arguments = _parse(expression or "application", name)
    if not module_name:
        raise _malformed(name)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as problem:
        if problem.name is None or not f"{module_name}.".startswith(f"{problem.name}."):
            raise  # the app's own code misses something
        raise ConfigurationError(
            f"there is no module {module_name!r:.80}, neither in {os.getcwd()} nor installed"
        ) from None
    try:
        found = getattr(module, attribute)
    except AttributeError:
        raise ConfigurationError(f"the module {module_name!r} has no {attribute!r:.80}") from None
    return found if arguments is None else found(*arguments)


def _parse(expression: str, name: str) -> tuple[str, list[Any] | None]:
    """Return the name in a module, and the arguments of the call, if it is one."""
    try:
        node = ast.parse(expression, mode="eval").body
        if isinstance(node, ast.Name):
            return node.id, None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return node.func.id, [ast.literal_eval(argument) for argument in node.args]
    except (SyntaxError, ValueError):
        pass
    raise _malformed(name)


def _malformed(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"the app must be written as module:app or module:create_app(), not {name!r:.80}"
    )
