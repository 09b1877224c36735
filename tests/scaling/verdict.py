"""Judges whether anything was lost silently, and whether anything is left behind."""

from __future__ import annotations

import bisect
import collections
import contextlib
import sys

from support.recorder import wait_until

from .servers import zombies

__all__ = ["check", "judge", "show", "wait_taken_over"]

#: ms by which a gap that is told may be too short at each end: one packet.
SLACK = 110
#: Seconds that a take-over may take on a machine that is busy with other tests, too. What it takes
#: is printed.
GENEROUS = 20


def show(what, **numbers):
    """Print a measurement; pytest -s shows it."""
    told = ", ".join(f"{name} {number}" for name, number in numbers.items())
    sys.stdout.write(f"{what}: {told}\n")


def check(zoom, *servers, killed=(), second=0):
    """Fail where anything was lost silently, or is left behind, now that all streams are over.

    Args:
        zoom: Has the streams.
        *servers: That share one diary.
        killed: As for :func:`judge`.
        second: How many clients came to a stream that had one, where a take-over needs that.
    """
    diary, ids = servers[0].diary, zoom.streams.keys()
    with contextlib.suppress(AssertionError):  # who is missing, is said below
        wait_until(lambda: ids <= {stop["stream"] for stop in diary.of("stopped")}, GENEROUS)
    alive = {pid for server in servers for pid in server.workers}
    problems = [
        problem
        for stream in zoom.streams.values()
        for problem in judge(stream, diary, alive, killed)
    ]
    assert not problems, "\n".join(problems)
    assert zoom.second_connections == second
    assert not diary.of("missed")
    for server in servers:
        wait_until(lambda server=server: not server.rows(), 15)
        wait_until(lambda server=server: not zombies(server.pid), 5)
        assert not server.complaints(), "\n".join(server.complaints())


def wait_taken_over(zoom, server, streams, since):
    """Wait until these streams have been started again since a moment, and their gaps told.

    Returns:
        Seconds until the last of them had an owner; seconds of the longest gap.
    """
    diary, ids = server.diary, {stream.id for stream in streams}
    wait_until(lambda: ids <= diary.starts(since).keys(), GENEROUS)
    zoom.wait_joined(streams)
    wait_until(lambda: ids <= diary.missing(since).keys(), GENEROUS)
    owned = max(starts[0]["at"] for starts in diary.starts(since).values()) - since
    return round(owned, 2), round(max(diary.missing(since).values()), 2)


def judge(stream, diary, alive, killed=()):
    """Return all that is wrong with a stream that is over, in words.

    What holds of each packet that Zoom had, from the first that was delivered until the end that
    was told, whoever owned the stream:

    - It was delivered, or lies in a gap that was told to somebody. A gap goes from the last packet
      that the earlier owner is known to have delivered to the first one that the next owner gets.
    - It was delivered once: the simulator keeps nothing, so each goes out on one socket.
    - It was not both, unless the owner that delivered it was killed, or lost the stream without
      knowing. Progress is stored once a second, so what it delivered after that is told as missing,
      too. A hand-over is exact.

    And of the app's functions:

    - ``on_stream_started`` ran once for each owner, flagged as a take-over for all but the first.
    - ``on_stream_ended`` ran as often in each process that was not killed, and said so where the
      stream was handed over.
    - ``on_stream_stopped`` ran once, in the last owner, with the client. Where the meeting ended
      after a hand-over, before another worker had joined, it ran once without a client: that tells
      that the rest was missed. So it did where the last owner's process has ended since.

    Args:
        stream: What was sent, see :class:`.zoom.Stream`.
        diary: What was noted.
        alive: The processes that serve now.
        killed: The processes that could not finish: killed, or stopped for longer than a lease.
    """
    return [
        f"{stream.id}: {problem}"
        for problem in (
            *_packets(stream, diary, frozenset(killed)),
            *_functions(stream, diary, alive, frozenset(killed)),
        )
    ]


def _packets(stream, diary, killed):
    delivered = collections.defaultdict(list)
    for entry in diary.of("audio", stream.id):
        delivered[entry["ts"]].append(entry["pid"])
    if not delivered:
        if stream.taken:
            yield f"nothing of {stream.taken} packets was delivered"
        return
    gaps = diary.of("gap", stream.id)
    first, last = min(delivered), max(delivered)
    rest_is_missed = _ended_between_owners(stream, diary)
    missing, twice, both = [], [], []
    for timestamp in stream.sent[bisect.bisect_left(stream.sent, first) :]:
        pids = delivered.pop(timestamp, [])
        if len(pids) > 1:
            twice.append((timestamp, pids))
        elif (
            not pids
            and not (rest_is_missed and timestamp > last)
            and not any(gap["start"] - SLACK <= timestamp <= gap["end"] + SLACK for gap in gaps)
        ):
            missing.append(timestamp)
        elif (
            not killed.intersection(pids)
            and pids
            and any(gap["start"] < timestamp < gap["end"] for gap in gaps)
        ):
            both.append((timestamp, pids))
    told = [(gap["pid"], gap["start"] - first, gap["end"] - first) for gap in gaps]
    if missing:
        parts = [each - first for each in missing]
        yield f"{len(missing)} packets are missing, and nobody was told: {parts}; gaps {told}"
    if twice:
        yield f"delivered twice: {twice}"
    if both:
        parts = [(each - first, pids) for each, pids in both]
        yield f"told as missing by a hand-over, though delivered: {parts}; gaps {told}"
    if delivered:
        yield f"nobody has sent {sorted(delivered)}"


def _functions(stream, diary, alive, killed):
    starts = diary.of("started", stream.id)
    if not starts:
        yield "no on_stream_started"
        return
    if [start["is_takeover"] for start in starts] != [False] + [True] * (len(starts) - 1):
        yield f"started {starts}"
    ends = diary.of("ended", stream.id)
    started_in = collections.Counter(each["pid"] for each in starts if each["pid"] not in killed)
    ended_in = collections.Counter(each["pid"] for each in ends if each["pid"] not in killed)
    if started_in != ended_in:
        yield f"started in {dict(started_in)}, ended in {dict(ended_in)}: {ends}"
    last = starts[-1]["pid"]
    stops = diary.of("stopped", stream.id)
    if _ended_between_owners(stream, diary):
        if len(stops) != 1:
            yield f"nobody had it at its end, and on_stream_stopped ran so: {stops}"
        return
    for end in ends:
        if end["pid"] not in killed and end["is_handover"] != (end is not ends[-1]):
            yield f"{end} of {len(ends)} ends, last owner {last}"
    is_told = [(stop["pid"], stop["has_client"]) for stop in stops] == [(last, True)]
    if not is_told and not (last not in alive and len(stops) == 1):
        others = [*starts, *diary.of("interrupted", stream.id), *ends]
        yield f"the last owner is {last}, and on_stream_stopped ran so: {stops}; else {others}"


def _ended_between_owners(stream, diary):
    """Whether the meeting ended when one worker had handed it over, and no other had joined."""
    ends, stops = diary.of("ended", stream.id), diary.of("stopped", stream.id)
    return bool(ends and ends[-1]["is_handover"] and stops and not stops[-1]["has_client"])
