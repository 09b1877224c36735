"""Lets a forked child drop the streams and servers of its parent.

``os.fork`` copies everything: sockets, greenlets, and the loop that watches them. A child that goes
on with gevent would read what its parent is to get, deliver it twice, and, when it notices silence,
join the stream itself, which throws its parent out. So it lets go of all that was live.
"""

from __future__ import annotations

import functools
import logging
import os
import weakref
from typing import Protocol

import gevent
from gevent import monkey

__all__ = ["Owner", "forget_in_child"]

logger = logging.getLogger(__name__)


class Owner(Protocol):
    """Has something that belongs to one process."""

    def after_fork_in_child(self, is_here: bool) -> None:
        """Let go of it, in a child that was just forked. Must neither wait nor call users' code.

        Args:
            is_here: Whether its hub is the one of the thread that forked. The other hubs have ended
                with their threads; their loops must not be touched, since the kernel's part of them
                is shared with the parent's.
        """


_get_ident = monkey.get_original("_thread", "get_ident")

#: The owners, each with the thread of its hub.
_owners: weakref.WeakKeyDictionary[Owner, int] = weakref.WeakKeyDictionary()


def forget_in_child(owner: Owner) -> None:
    """Call ``owner.after_fork_in_child()`` in every child. To be called in its hub's thread."""
    _register()
    _owners[owner] = _get_ident()


@functools.cache
def _register() -> None:
    # Not at import: who never joins a stream pays nothing.
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork_in_child)


def _after_fork_in_child() -> None:
    here, owners = _get_ident(), list(_owners.items())
    _owners.clear()
    if any(thread == here for _, thread in owners):
        # libev notices the fork by itself. libuv would take our sockets out of the parent's epoll.
        gevent.get_hub().loop.reinit()
    for owner, thread in owners:
        try:
            owner.after_fork_in_child(thread == here)
        except Exception:
            logger.exception("%r could not be let go of in a forked process", owner)
