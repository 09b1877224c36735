"""Tells systemd how this process is; cf. ``sd_notify(3)``."""

from __future__ import annotations

import contextlib
import socket

from .._environment import notify_socket

__all__ = ["notify"]


def notify(state: str) -> None:
    """Send a state such as "READY=1"; does nothing where systemd does not ask for it."""
    address = notify_socket()
    if address:
        if address.startswith("@"):  # in the abstract namespace
            address = "\0" + address[1:]
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.connect(address)
            to.sendall(state.encode())
