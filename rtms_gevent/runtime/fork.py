"""What a forked child must leave alone.

``os.fork`` copies everything: sockets, greenlets, and the loop that watches them. A child that goes
on with gevent would read what its parent is to get, deliver it twice, and, when it notices silence,
join the stream itself, which throws its parent out. So it lets go of all that was live.
"""

from __future__ import annotations

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

    def forget(self, is_here: bool) -> None:
        """Let go of it, in a child that was just forked. Must neither wait nor call users' code.

        Args:
            is_here: Whether the hub that it lives on is the one of the thread that forked. The
                others have ended with their threads; their loops must not be touched, since the
                kernel's part of them is shared with the parent's.
        """


_get_ident = monkey.get_original("_thread", "get_ident")

#: The owners, each with the thread whose hub it lives on.
_owners: weakref.WeakKeyDictionary[Owner, int] = weakref.WeakKeyDictionary()
_is_registered = False


def forget_in_child(owner: Owner) -> None:
    """Call ``owner.forget()`` in every child of this process. To be called in its hub's thread."""
    global _is_registered
    if not _is_registered and hasattr(os, "register_at_fork"):
        # Not at import: who never joins a stream pays nothing.
        os.register_at_fork(after_in_child=_forget_all)
        _is_registered = True
    _owners[owner] = _get_ident()


def _forget_all() -> None:
    here, owners = _get_ident(), list(_owners.items())
    _owners.clear()
    if any(thread == here for _, thread in owners):
        # libev notices the fork by itself. libuv would take our sockets out of the parent's epoll.
        gevent.get_hub().loop.reinit()
    for owner, thread in owners:
        try:
            owner.forget(thread == here)
        except Exception:
            logger.exception("%r could not be let go of in a forked process", owner)
