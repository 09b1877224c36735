"""Opens TCP to the first of several addresses that answers: RFC 8305, "happy eyeballs".

If one does not answer, such as a server that died or IPv6 in networks that have it only half, the
next one gets its turn a moment later, and whoever answers first wins. All of it happens in the
calling greenlet; only the names of several hosts are looked up in greenlets of their own, since a
name server may not answer, either.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import socket as stdlib_socket
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import gevent
from gevent import socket
from gevent.event import Event

__all__ = ["History", "Race"]

_Key = TypeVar("_Key", bound=Hashable)
_Item = TypeVar("_Item")

#: What getaddrinfo() returns for each address: family, kind, protocol, name, address.
_AddressInfo = tuple[Any, Any, int, str, Any]

#: Seconds after which the next address is tried, too: RFC 8305 section 8.
_HEAD_START = 0.25
#: Connections and lookups of one race that may be on their way at the same time. Who is the first
#: of so many has had two seconds: a SYN that got lost was repeated after one.
_MAX_PENDING = 8
#: How many addresses or endpoints one history knows.
_MAX_REMEMBERED = 256

_WRITE = 2


class History:
    """What has worked for a stream, and what has not, so that the best comes first the next time.

    Greenlet-safety: any greenlet of one hub.
    """

    def __init__(self) -> None:
        """Know nothing."""
        self._ranks: dict[Hashable, int] = {}
        self._count = 0

    def tried(self, key: Hashable) -> None:
        """Note that it is being tried: it comes last until it has :meth:`worked`."""
        self._note(key, 1)

    def worked(self, key: Hashable) -> None:
        """Note that it works: it comes first."""
        self._note(key, -1)

    def _note(self, key: Hashable, sign: int) -> None:
        self._count += 1
        self._ranks.pop(key, None)
        self._ranks[key] = sign * self._count
        if len(self._ranks) > _MAX_REMEMBERED:
            del self._ranks[next(iter(self._ranks))]

    def best_first(self, items: Sequence[_Item], key: Callable[[_Item], Hashable]) -> list[_Item]:
        """Return what worked (the last first), then what is new (as given), then what did not."""
        return sorted(items, key=lambda item: self._ranks.get(key(item), 0))


@dataclasses.dataclass(slots=True, eq=False)
class _Attempt(Generic[_Key]):
    """A connection on its way."""

    key: _Key
    info: _AddressInfo
    sock: socket.socket
    watcher: Any
    is_decided: bool = False

    def stop_watching(self) -> None:
        self.watcher.stop()
        self.watcher.close()

    def close(self) -> None:
        self.stop_watching()
        self.sock.close()


class Race(Generic[_Key]):
    """Connects to the first of several hosts that answers.

    The addresses of the hosts take turns: the first of each, in the order of the hosts, then the
    second of each, and so on; what has worked before comes first among those of a host. The next
    one begins when one has failed, or a moment after the last one began.

    Greenlet-safety: one greenlet.
    """

    __slots__ = (
        "_history",
        "_hosts",
        "_lookups",
        "_on_failed",
        "_pending",
        "_progress",
        "_queue",
        "begun",
        "left",
    )

    def __init__(
        self,
        hosts: Mapping[_Key, tuple[str, int]],
        history: History,
        on_failed: Callable[[_Key, Exception, bool], None],
    ) -> None:
        """Begin nothing yet.

        Args:
            hosts: Host and port of each, by keys that may be anything.
            history: Which addresses have worked.
            on_failed: Called with a host that cannot win any more, and why: an ``OSError``, or a
                ``UnicodeError`` for a name that cannot be looked up; and whether its addresses are
                known. Must not wait.
        """
        #: Those that may still win.
        self.left = dict.fromkeys(hosts)
        #: Those whose turn has come, and whether their addresses are known.
        self.begun: dict[_Key, bool] = {}
        self._hosts = hosts
        self._history = history
        self._on_failed = on_failed
        #: Whose turn comes next, each with its addresses that are left; None: to be looked up.
        self._queue: deque[tuple[_Key, list[_AddressInfo] | None]] = deque(
            (key, None) for key in hosts
        )
        self._pending: list[_Attempt[_Key]] = []
        self._lookups: dict[_Key, gevent.Greenlet[..., list[_AddressInfo] | Exception]] = {}
        self._progress = Event()

    def winner(self) -> tuple[_Key, socket.socket, object] | None:
        """Return the next host that takes a connection, and this; ``None`` where there is none.

        Waits cooperatively, without a limit of its own. The connections of the others are closed.
        Where the winner turns out to be of no use, this may be called again for the other hosts.

        Returns:
            The host, the connection, and the address under which a history knows it.
        """
        try:
            while self._queue or self._pending or self._lookups:
                if self._queue and not self._begin(*self._queue.popleft()):
                    continue  # it has failed, or become addresses: nothing to wait for
                self._progress.wait(_HEAD_START if self._queue else None)
                self._progress.clear()
                won = self._decide()
                if won is not None:
                    return won
            return None
        finally:
            self._stop()

    def _begin(self, key: _Key, addresses: list[_AddressInfo] | None) -> bool:
        """Look a host up, or connect to its next address; return whether that has begun."""
        if len(self._pending) + len(self._lookups) == _MAX_PENDING:
            self._give_up_oldest()
        self.begun.setdefault(key, False)
        if addresses is not None:
            if addresses[1:]:
                self._queue.append((key, addresses[1:]))
            return self._connect(key, addresses[0])
        host, port = self._hosts[key]
        found = _numeric(host, port)
        if found:
            self._found(key, found)
            return False
        if len(self._hosts) == 1:  # nobody is kept waiting
            self._found(key, _look_up(host, port))
            return False
        lookup = self._lookups[key] = gevent.spawn(_look_up, host, port)
        lookup.name = f"rtms lookup of {host}"
        lookup.rawlink(self._wake)
        return True

    def _found(self, key: _Key, found: list[_AddressInfo] | Exception) -> None:
        if isinstance(found, Exception):
            self._fail(key, found)
            return
        self.begun[key] = True
        if len(found) > 1:
            found = self._history.best_first(_interleaved(found), key=lambda info: info[4])
        self._queue.appendleft((key, found))  # the lookup was a part of its turn

    def _connect(self, key: _Key, info: _AddressInfo) -> bool:
        family, kind, protocol, _, address = info
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as problem:  # this machine has no such family
            self._fail(key, problem)
            return False
        attempt = _Attempt(key, info, sock, gevent.get_hub().loop.io(sock.fileno(), _WRITE))
        # Who is alone can be waited for here, which is the least that it can cost.
        sock.setblocking(not (self._queue or self._pending or self._lookups))
        self._pending.append(attempt)
        try:
            sock.connect(address)
        except BlockingIOError:
            attempt.watcher.start(self._decided, attempt)
        except OSError as problem:
            self._pending.remove(attempt)
            attempt.close()
            self._fail(key, problem)
            return False
        else:
            self._decided(attempt)
        return True

    def _decided(self, attempt: _Attempt[_Key]) -> None:  # mostly in the hub
        attempt.watcher.stop()
        attempt.is_decided = True
        self._progress.set()

    def _wake(self, _: object) -> None:  # in the hub
        self._progress.set()

    def _decide(self) -> tuple[_Key, socket.socket, object] | None:
        for key, lookup in list(self._lookups.items()):
            if lookup.ready():
                del self._lookups[key]
                self._found(key, lookup.get())
        for attempt in [attempt for attempt in self._pending if attempt.is_decided]:
            self._pending.remove(attempt)
            try:
                code = attempt.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    raise OSError(code, os.strerror(code))
                attempt.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as problem:
                attempt.close()
                self._fail(attempt.key, problem)
                continue
            attempt.stop_watching()
            attempt.sock.setblocking(True)
            del self.left[attempt.key]
            return attempt.key, attempt.sock, attempt.info[4]
        return None

    def _fail(self, key: _Key, problem: Exception) -> None:
        """Note that an address of a host is of no use."""
        waiting = itertools.chain(self._lookups, (attempt.key for attempt in self._pending))
        if key not in itertools.chain(waiting, (other for other, _ in self._queue)):
            del self.left[key]
            self._on_failed(key, problem, self.begun[key])

    def _give_up_oldest(self) -> None:
        if self._pending:
            attempt = self._pending.pop(0)
            attempt.close()
            key = attempt.key
        else:
            key = next(iter(self._lookups))
            self._lookups.pop(key).kill(block=False)
        self._fail(key, TimeoutError("no answer before others had to be tried"))

    def _stop(self) -> None:
        """Close what is on its way; where another round follows, it comes first there."""
        if not self._queue and not self._pending and not self._lookups:
            return
        on_their_way: list[tuple[_Key, list[_AddressInfo] | None]] = []
        for attempt in self._pending:
            attempt.close()
            on_their_way.append((attempt.key, [attempt.info]))
        for key, lookup in self._lookups.items():
            lookup.kill(block=False)
            on_their_way.append((key, None))
        self._pending.clear()
        self._lookups.clear()
        self._queue = deque(turn for turn in (*on_their_way, *self._queue) if turn[0] in self.left)


def _numeric(host: str, port: int) -> list[_AddressInfo]:
    """Return what an address that is no name means: for that nobody need be asked in a thread."""
    if ":" not in host and not host[-1:].isdigit():
        return []
    flags = stdlib_socket.AI_NUMERICHOST
    try:
        return stdlib_socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags)
    except (stdlib_socket.gaierror, UnicodeError):
        return []


def _look_up(host: str, port: int) -> list[_AddressInfo] | Exception:
    try:
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        return problem


def _interleaved(found: Iterable[_AddressInfo]) -> list[_AddressInfo]:
    """Let the families take turns, since all of one may be unreachable: RFC 8305 section 4."""
    families: dict[object, list[_AddressInfo]] = {}
    for info in found:
        families.setdefault(info[0], []).append(info)
    rows = itertools.zip_longest(*families.values())
    return [info for row in rows for info in row if info is not None]
