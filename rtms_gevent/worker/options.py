"""What the supervisor tells each of its processes."""

from __future__ import annotations

import dataclasses

__all__ = ["READY", "Options"]

#: What a process sends when it takes part.
READY = b"ready\n"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says. Goes to a process by its control socket, as one line of JSON."""

    app: str  #: ``module:name``, or ``module:factory()``
    #: May have a password, which a command line would show to everybody on this machine.
    store: str | None = dataclasses.field(default=None, repr=False)
    max_streams: int | None = None
    #: Seconds to hand streams over, and for running callbacks.
    graceful_timeout: float = 30.0
