"""What the command prints: tables for people, documents for programs. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ..cluster.overview import StreamInfo
from ..cluster.records import Worker
from .look import Look

__all__ = ["as_document", "as_text"]

#: Characters of a stream's id that a table shows.
_ID = 12
#: The order of streams in a table.
_STATES = ("joined", "joining", "lost", "waiting", "ended")

_WORKERS = ("WORKER", "HOST", "PID", "STREAMS", "AGE", "HEARD OF", "STATE")
_STREAMS = (
    "STREAM",
    "PRODUCT",
    "STATE",
    "OWNER",
    "AGE",
    "FENCE",
    "PACKETS",
    "RATE",
    "GAPS",
    "MISSING",
)
#: Columns whose cells stand to the right.
_NUMBERS = {"PID", "STREAMS", "AGE", "HEARD OF", "FENCE", "PACKETS", "RATE", "GAPS", "MISSING"}


def as_text(looks: Sequence[Look], now: float) -> str:
    """Return tables of all stores.

    Args:
        looks: One for each store.
        now: Seconds since the epoch.
    """
    if not looks:
        return "No workers share streams here.\n"
    return "\n".join(_one(look, now) for look in looks)


def _one(look: Look, now: float) -> str:
    parts = [f"{look.store}\n"]
    if look.workers:
        parts.append(table(_WORKERS, [_worker_row(worker, now) for worker in look.workers]))
    else:
        parts.append("No worker lives.\n")
    if look.streams:
        streams = sorted(look.streams, key=lambda stream: _STATES.index(stream.state))
        rows = [_stream_row(stream, look.rates.get(stream.stream_id)) for stream in streams]
        parts.append(table(_STREAMS, rows))
    else:
        parts.append("No streams.\n")
    return "\n".join(parts)


def _worker_row(worker: Worker, now: float) -> Sequence[str]:
    limit = "" if worker.max_streams is None else f"/{worker.max_streams}"
    state = ""
    if worker.is_draining:
        state = "draining"
    elif worker.max_streams == 0:
        state = "webhooks only"
    elif worker.is_full:
        state = "full"
    return (
        worker.id,
        worker.host,
        str(worker.pid),
        f"{worker.streams}{limit}",
        duration(now - worker.started),
        f"{worker.age:.1f} s ago",
        state,
    )


def _stream_row(stream: StreamInfo, rate: float | None) -> Sequence[str]:
    return (
        stream.stream_id if len(stream.stream_id) <= _ID else f"{stream.stream_id[: _ID - 1]}…",
        "" if stream.product is None else stream.product.name.lower(),
        stream.state,
        stream.owner or "",
        duration(stream.age),
        str(stream.fence),
        str(stream.received),
        "" if rate is None else f"{rate:.0f}/s",
        str(stream.gaps),
        f"{stream.missing_ms} ms",
    )


def duration(seconds: float) -> str:
    """Return a time span in a few characters: 42 s, 7 min, 3 h 12 min, 5 d 2 h."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole // 60 % 60} min"
    return f"{whole // 86_400} d {whole // 3600 % 24} h"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return lines of cells, as wide as they have to be. What a terminal could act on is "?"."""
    lines = [titles, *([_printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ""
    for line in lines:
        cells = (
            cell.rjust(width) if title in _NUMBERS else cell.ljust(width)
            for title, cell, width in zip(titles, line, widths, strict=True)
        )
        text += "  ".join(cells).rstrip() + "\n"
    return text


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def as_document(looks: Sequence[Look]) -> dict[str, Any]:
    """Return the same for ``--json``; docs/scaling.md has the keys."""
    return {
        "stores": [
            {
                "store": look.store,
                "workers": [_worker_document(worker) for worker in look.workers],
                "streams": [
                    {
                        **dataclasses.asdict(stream),
                        "product": stream.product and stream.product.name.lower(),
                        "rate": look.rates.get(stream.stream_id),
                    }
                    for stream in look.streams
                ],
            }
            for look in looks
        ]
    }


def _worker_document(worker: Worker) -> dict[str, Any]:
    fields = dataclasses.asdict(worker)
    del fields["live_socket"]
    return fields
