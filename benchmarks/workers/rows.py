"""The rows of the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..measure import Result
from ..report import number

__all__ = ["HEADER", "rows_of"]

HEADER = ("store", "what", "value")

#: What is said of each scenario: words, the result's keys, and the unit.
_LINES: dict[str, Sequence[tuple[str, tuple[str, ...], str]]] = {
    "claims at once": (
        ("offers", ("offers_per_second",), "a second"),
        ("claims", ("claims_per_second",), "a second"),
        ("a claim meanwhile, p50 and p99", ("claim_p50_ms", "claim_p99_ms"), "ms"),
    ),
    "starts one by one": (
        ("50 starts a second: a claim, p50 and p99", ("claim_p50_ms", "claim_p99_ms"), "ms"),
        ("from offer to owner, p50 and p99", ("waited_p50_ms", "waited_p99_ms"), "ms"),
    ),
    "take-overs": (
        ("take-overs when half of the workers are killed", ("per_second",), "a second"),
        ("first and last of them after the kill", ("first_after", "last_after"), "s"),
    ),
    "at rest": (
        ("a stream at rest, CPU of its worker", ("us_per_stream",), "µs a second"),
        ("a worker without streams", ("idle_percent",), "% of a core"),
        ("renewing, p50 and p99", ("renew_p50_ms", "renew_p99_ms"), "ms"),
    ),
    "many at rest": (
        ("streams at rest", ("streams",), ""),
        ("a stream at rest, CPU of its worker", ("us_per_stream",), "µs a second"),
        ("each worker", ("cpu_percent",), "% of a core"),
        ("renewing, p50 and p99", ("renew_p50_ms", "renew_p99_ms"), "ms"),
        ("a look for silent owners", ("sweep_ms",), "ms"),
        ("Redis: CPU of such a look", ("redis_sweep_ms",), "ms"),
        ("Redis: scripts", ("redis_scripts",), "a second"),
        ("Redis: commands, with those in scripts", ("redis_commands",), "a second"),
        ("Redis: CPU", ("redis_percent",), "% of a core"),
        ("Redis: network", ("redis_mb_per_second",), "MB a second"),
        ("Redis: memory", ("redis_mb",), "MB"),
        ("Redis: memory of each stream", ("redis_kb_per_stream",), "kB"),
    ),
}


def rows_of(results: Iterable[Result]) -> Iterator[tuple[str, str, str]]:
    """Yield a row for each thing that was measured."""
    for result in results:
        for words, keys, unit in _LINES[result["scenario"]]:
            values = " and ".join(number(result[key]) for key in keys)
            yield result["store"], words, f"{values} {unit}".rstrip()
