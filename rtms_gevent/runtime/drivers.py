"""Warns of loaded drivers (of databases, gRPC) that block a hub.

Monkey-patching makes Python's own sockets cooperative, and no C library's. A driver that waits in
one stops every stream and request of the hub for as long as each query takes, mostly too short for
the watchdog to notice. Nothing is imported here: only what the program has loaded is looked at.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gevent import monkey

__all__ = ["Driver", "blocking", "warn"]

logger = logging.getLogger(__name__)

#: What helps with drivers that have no support for gevent.
_THREAD = "call it in gevent.get_hub().threadpool"


class Driver(NamedTuple):
    """One that would block."""

    name: str
    remedy: str


class _Rule(NamedTuple):
    module: str  #: what is loaded where the driver is in use
    blocks: Callable[[Any], bool]  #: asked with that module
    driver: Driver


def _always(_: Any) -> bool:
    return True


# Where the facts come from is in docs/concurrency.md, beside each driver.
_RULES = (
    _Rule(
        "psycopg2.extensions",
        lambda module: module.get_wait_callback() is None,
        Driver("psycopg2", "call psycogreen.gevent.patch_psycopg()"),
    ),
    _Rule(
        "psycopg.waiting",  # chosen when it is imported
        lambda module: module.wait is getattr(module, "wait_c", None),
        Driver("psycopg", "call gevent.monkey.patch_all() before importing it; 3.1.14 or newer"),
    ),
    _Rule(
        "MySQLdb._mysql",  # PyMySQL, which is fine, may take the place of MySQLdb
        _always,
        Driver("mysqlclient (MySQLdb)", f"use PyMySQL, or {_THREAD}"),
    ),
    _Rule(
        "pymssql._mssql",
        lambda module: module.wait_callback is None,
        Driver("pymssql", "call pymssql.set_wait_callback(gevent.socket.wait_read)"),
    ),
    _Rule("cx_Oracle", _always, Driver("cx_Oracle", f"use oracledb in thin mode, or {_THREAD}")),
    _Rule(
        "oracledb",
        lambda module: not module.is_thin_mode(),
        Driver("oracledb in thick mode", f"use thin mode, or {_THREAD}"),
    ),
    _Rule("pyodbc", _always, Driver("pyodbc", _THREAD)),
    _Rule(
        "grpc._cython.cygrpc",
        lambda module: not module.g_gevent_activated,
        Driver("grpc", "call grpc.experimental.gevent.init_gevent() before making channels"),
    ),
)

_warned: set[str] = set()


def blocking(modules: Mapping[str, Any]) -> Iterator[Driver]:
    """Yield the drivers among loaded modules that would block a hub.

    Args:
        modules: By name, as in ``sys.modules``.
    """
    for rule in _RULES:
        module = modules.get(rule.module)
        try:
            if module is not None and rule.blocks(module):
                yield rule.driver
        except Exception:  # noqa: BLE001 - half imported, or another version: nothing can be said
            logger.debug("cannot find out whether %s would block", rule.driver.name)


def warn() -> None:
    """Log each driver that would block a hub of this process, once. Never waits.

    Only of a process that is monkey-patched: in another one everything that waits blocks.
    """
    if not monkey.is_module_patched("socket"):
        return
    for driver in blocking(sys.modules):
        if driver.name not in _warned:
            _warned.add(driver.name)
            logger.warning(
                "%s is loaded, and gevent cannot make it cooperative as it is: while it waits, no "
                "stream and no request of this thread gets a turn. What to do: %s (see "
                "docs/concurrency.md)",
                driver.name,
                driver.remedy,
            )
