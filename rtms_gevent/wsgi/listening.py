"""The listening socket of every server here: webhooks, simulator, demo."""

from __future__ import annotations

import socket

from gevent import monkey

__all__ = ["open_listener"]

#: Connections that the kernel holds while we are busy.
_BACKLOG = 128


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket of the standard library's, which belongs to no hub yet.

    Raises:
        OSError: the address cannot be listened on, or there is no such port.
    """
    native: type[socket.socket] = monkey.get_original("socket", "socket")
    listener = native(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OverflowError as error:  # of the port
        listener.close()
        raise OSError(str(error)) from error
    except OSError:
        listener.close()
        raise
    return listener
