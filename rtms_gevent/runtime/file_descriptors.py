"""Enlarges the kernel's table of file descriptors before media flow.

Linux keeps a process's descriptors in a table that doubles when it is full: at 256, 512, 1,024 and
so on. In a process with several threads (ours has a watchdog) whoever opens a socket then waits for
the kernel, 7 to 16 ms as measured each time, and so do all streams of that hub. The table never
shrinks, so it is made big once, when the first stream is joined: that takes 12 ms.
"""

from __future__ import annotations

import contextlib
import os
import sys

__all__ = ["preallocate_fd_table"]

#: Descriptors: enough for five thousand streams with audio and video. The table takes 128 kB.
_TABLE_SIZE = 16 * 1024

#: The process that has done so. A forked child has a table of its own, as small as can be.
_done_by: int | None = None


def preallocate_fd_table() -> None:
    """Let the process open many sockets without waiting for the kernel; only the first call does.

    If the process may not have so many, the table is made as large as it may be.
    """
    global _done_by
    if _done_by == os.getpid() or sys.platform != "linux":
        return
    _done_by = os.getpid()
    import fcntl  # these two are not on Windows
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    size = _TABLE_SIZE if allowed == resource.RLIM_INFINITY else min(allowed, _TABLE_SIZE)
    with contextlib.suppress(OSError):  # all are in use; then the table is as big as it can be
        lowest = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.close(fcntl.fcntl(lowest, fcntl.F_DUPFD_CLOEXEC, size - 1))
        finally:
            os.close(lowest)
