"""The store of workers on many machines: Redis 6.2 or newer, or Valkey.

Redis Streams do the work: see :mod:`.redis_lua` for what is kept. What tells a worker that
there is something to do (hints) may get lost; what it has to do is looked up.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from ..errors import StoreError
from ..runtime.fork import forget_in_child
from . import redis_scripts as scripts
from .records import NO_PROGRESS, Claim, Letter, Progress, StreamRow, Wakeup, Worker
from .redis_connection import RedisClient, RedisServers
from .redis_lua import KEYS
from .store import Store

__all__ = ["RedisStore"]

#: Seconds that one read of hints waits at the server.
_BLOCK = 5.0
#: Streams that one script renews, so that it does not hold up others for long.
_CHUNK = 100
#: Seconds that hints for a worker are kept. Its streams' letters are found without them, too.
_HINTS_KEPT = 600
_OLDEST = (6, 2)


class RedisStore(Store):
    """Ownership that machines share."""

    def __init__(self, url: str, namespace: str, lease: float = 8.0) -> None:
        """Make a store; it connects when it is opened.

        Args:
            url: See :class:`.RedisServers`.
            namespace: What the workers have in common that belong together.
            lease: Seconds without a renewal after which another worker may take a stream over.

        Raises:
            ConfigurationError: the URL cannot be used.
        """
        servers = RedisServers(url)
        self.name = servers.name
        self.lease = lease
        self._client = RedisClient(servers)
        self._hints = RedisClient(servers, block=_BLOCK)
        # One hash tag, so that a Redis Cluster keeps all of it on one node.
        self._prefix = f"{{rtms:{namespace}}}:"
        self._keys = [self._prefix + key for key in KEYS]
        self._id = ""
        #: What Redis's clock (ms) said in the latest answer.
        self._contact = 0
        # -- claims
        self._claiming = BoundedSemaphore()
        self._claimed: set[str] = set()
        self._cursor = "0-0"  #: where to look on for streams of silent workers
        self._is_unsure = False  #: whether Redis may have given us a stream without our knowing
        # -- news
        self._woken = Event()
        self._listener: gevent.Greenlet[..., None] | None = None
        self._problem: StoreError | None = None  #: what ended the listener
        self._positions = {self._hint_key(""): "0-0"}  #: the latest hint, by key
        self._has_offers = False
        self._mail: set[str] = set()  #: streams that have letters
        self._read: dict[str, int] = {}  #: number of the letter read last, while it is in Redis
        self._letters: list[Letter] = []

    def __repr__(self) -> str:
        return f"<RedisStore {self.name}>"

    def _run(self, script: str, *arguments: str | float) -> Any:
        """Run a script, and return its answer without the time."""
        first = (self._id, int(self.lease * 1000))
        answer = self._client.run(script, self._keys, (*first, *arguments))
        self._contact = answer[0]
        return answer[1:]

    def _hint_key(self, worker_id: str) -> str:
        return self._prefix + (f"hints:{worker_id}" if worker_id else "hints")

    # -- workers -----------------------------------------------------------------------------------

    def open(self, worker: Worker) -> None:
        """Make a worker known."""
        self._check_version()
        forget_in_child(self)
        self._id = worker.id
        self._problem = None
        self._positions[self._hint_key(worker.id)] = "0-0"
        self.renew(worker, ())

    def _check_version(self) -> None:
        try:
            answer = self._client.execute("HELLO")
        except StoreError as problem:
            if "unknown command" not in str(problem).lower():
                raise
            answer = [b"version", b"5"]
        fields = dict(zip(answer[::2], answer[1::2], strict=True))
        version = fields[b"version"].decode()
        if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < _OLDEST:
            raise StoreError(
                f"{self.name}: Redis {version} is too old, 6.2 is needed", is_lasting=True
            )

    def close(self) -> None:
        """Forget the worker; what it owns can be claimed at once."""
        if self._listener is not None:
            self._listener.kill()
            self._listener = None
        if self._id:
            with contextlib.suppress(StoreError):
                self._run(scripts.CLOSE)
                self._client.execute("DEL", self._hint_key(self._id))
        self._client.close()
        self._hints.close()
        self.wake()

    def workers(self) -> list[Worker]:
        """Return the workers that live."""
        seen, said = self._run(scripts.WORKERS)
        records = _pairs(said)
        ages = {worker_id: self._age(float(at)) for worker_id, at in _pairs(seen).items()}
        living = [
            Worker.from_json(records[worker_id], age)
            for worker_id, age in ages.items()
            if age <= self.lease and worker_id in records
        ]
        return sorted(living, key=lambda worker: worker.started)

    def _age(self, since: float) -> float:
        """Return the seconds since a time (ms) of Redis."""
        return max(0.0, (self._contact - since) / 1000)

    # -- streams -----------------------------------------------------------------------------------

    def offer(self, stream_id: str, document: Mapping[str, Any]) -> bool:
        """Note a start; return whether the stream waits for a worker now."""
        is_waiting, *owner = self._run(scripts.OFFER, stream_id, json.dumps(document))
        self._hint(stream_id, owner)
        return bool(is_waiting)

    def send(self, stream_id: str, document: Mapping[str, Any], *, ends: bool = False) -> bool:
        """Send a webhook to the owner of a stream; return whether it has one, or waits for one."""
        is_sent, *owner = self._run(scripts.SEND, stream_id, json.dumps(document), int(ends))
        self._hint(stream_id, owner)
        return bool(is_sent)

    def _hint(self, stream_id: str, owner: list[bytes]) -> None:
        """Tell an owner, if there is one, that there are letters."""
        if not owner or owner[0] is None:
            return
        if owner[0].decode() == self._id:
            self._note_letters([stream_id])
            return
        key = self._hint_key(owner[0].decode())
        with contextlib.suppress(StoreError):  # renew() finds them, too
            self._client.execute("XADD", key, "MAXLEN", "~", 1000, "*", "stream", stream_id)
            self._client.execute("EXPIRE", key, _HINTS_KEPT)

    def claim(self, *, may_expire: bool) -> Claim | None:
        """Claim one stream that waits, or whose owner has ended or is silent."""
        with self._claiming:
            known = self._claimed if self._is_unsure else ()
            flags = (int(may_expire), self._contact, self._cursor, int(self._is_unsure))
            self._is_unsure = True  # until the answer is here
            cursor, *claim = self._run(scripts.CLAIM, *flags, *known)
            self._cursor = cursor.decode()
            # Only one that was lost is found at a time.
            self._is_unsure = bool(flags[-1] and claim)
            if not claim:
                return None
            stream_id, fence, document, is_takeover, progress, has_letters = claim
            stream_id = stream_id.decode()
            self._claimed.add(stream_id)
            self._read.pop(stream_id, None)
        if has_letters:
            self._note_letters([stream_id])
        return Claim(stream_id, fence, json.loads(document), bool(is_takeover), _progress(progress))

    def renew(self, worker: Worker, claims: Collection[Claim]) -> Collection[str]:
        """Say that this worker lives, and how far it got; return the streams that it has lost."""
        rest, lost = list(claims), []
        while True:
            chunk, rest = rest[:_CHUNK], rest[_CHUNK:]
            lost += self._renew(worker, chunk)
            if not rest:
                self._claimed -= set(lost)
                return lost

    def _renew(self, worker: Worker, claims: list[Claim]) -> list[str]:
        fields: list[str | float] = []
        for claim in claims:
            fields += [claim.stream_id, claim.fence, claim.progress.to_json()]
        answer = self._run(scripts.RENEW, worker.to_json(), *fields)
        lost, unknown, mail = ([stream_id.decode() for stream_id in ids] for ids in answer)
        if mail:
            self._note_letters(mail)
        if unknown:
            fields = []
            for claim in claims:
                if claim.stream_id in unknown:
                    fields += [claim.stream_id, claim.fence, claim.progress.to_json()]
                    fields.append(json.dumps(claim.document))
            self._run(scripts.NOTE, *fields)
        return lost

    def release(self, claim: Claim, *, has_ended: bool) -> bool:
        """Give a claim up; return whether it was ours."""
        (was_ours,) = self._run(
            scripts.RELEASE,
            claim.stream_id,
            claim.fence,
            claim.progress.to_json(),
            int(has_ended),
        )
        self._claimed.discard(claim.stream_id)
        return bool(was_ours)

    def take_expired(self) -> list[StreamRow]:
        """Forget, and return, the offers that nobody has claimed in time."""
        found, mail = self._run(scripts.EXPIRED)
        rows = [
            self._row(name.decode(), stream, document, progress, {})
            for name, stream, document, progress in found
        ]
        if rows:
            mail += self._run(scripts.EXPIRED, *(row.stream_id for row in rows))[1]
        if mail:
            self._note_letters(stream_id.decode() for stream_id in mail)
        return rows

    def streams(self) -> list[StreamRow]:
        """Return all streams that are known."""
        seen, *parts = self._run(scripts.STREAMS)
        streams, documents, progress = map(_pairs, parts)
        silences = {worker_id: self._age(float(at)) for worker_id, at in _pairs(seen).items()}
        rows = [
            self._row(
                stream_id,
                stream,
                documents.get(stream_id, b"{}"),
                progress.get(stream_id),
                silences,
            )
            for stream_id, stream in streams.items()
        ]
        return sorted(rows, key=lambda row: row.age, reverse=True)

    def _row(
        self,
        stream_id: str,
        stream: bytes,
        document: bytes,
        progress: bytes | None,
        silences: Mapping[str, float],
    ) -> StreamRow:
        fields = json.loads(stream)
        owner = fields.get("owner")
        return StreamRow(
            stream_id,
            json.loads(document),
            owner,
            fields["fence"],
            fields.get("ended", False),
            _progress(progress),
            age=self._age(fields["since"]),
            silent=0.0 if owner is None else silences.get(owner, float("inf")),
        )

    # -- news --------------------------------------------------------------------------------------

    def wait(self, timeout: float) -> Wakeup:
        """Wait for letters to streams of this worker, or for offers."""
        if self._listener is None or self._listener.ready():
            self._listener = gevent.spawn(self._listen)
        if not self._letters and not self._mail:
            self._woken.wait(timeout)
        self._woken.clear()
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem
        self._read_letters()
        has_offers, self._has_offers = self._has_offers, False
        letters, self._letters = self._letters, []
        return Wakeup(tuple(letters), has_offers)

    def wake(self) -> None:
        """Let :meth:`wait` return soon."""
        self._woken.set()

    def _listen(self) -> None:
        """Read hints until that fails; in a greenlet of its own, since a read cannot be woken."""
        try:
            while True:
                block = int(_BLOCK * 1000)
                where = (*self._positions, *self._positions.values())
                for key, entries in (
                    self._hints.execute("XREAD", "BLOCK", block, "STREAMS", *where) or ()
                ):
                    self._positions[key.decode()] = entries[-1][0].decode()
                    if key.decode() == self._hint_key(self._id):
                        self._mail.update(fields[1].decode() for _, fields in entries)
                    else:
                        self._has_offers = True
                    self.wake()
        except StoreError as problem:
            self._problem = problem
            self.wake()

    def _note_letters(self, stream_ids: Iterable[str]) -> None:
        self._mail.update(stream_ids)
        self.wake()

    def _read_letters(self) -> None:
        """Fetch letters, and drop them at the server once they are here; none gets lost thus."""
        while self._mail:
            # Whatever is noted while the answer is on its way counts anew.
            asked, self._mail = self._mail, set()
            positions = [field for name in asked for field in (name, self._read.get(name, 0))]
            try:
                (found,) = self._run(scripts.LETTERS, *positions)
            except BaseException:
                self._mail |= asked
                raise
            for name in asked:
                self._read.pop(name, None)
            for stream_id, lines in found:
                name = stream_id.decode()
                self._mail.add(name)
                for line in lines:
                    number, _, document = line.partition(b" ")
                    self._read[name] = int(number)
                    self._letters.append(Letter(name, json.loads(document)))

    # -- deliveries --------------------------------------------------------------------------------

    def add(self, key: str, now: float) -> bool:
        """Add a delivery, and return whether it is new."""
        (is_new,) = self._run(scripts.ADD, key, now)
        return bool(is_new)

    def discard(self, key: str) -> None:
        """Remove a delivery, as if it was not received."""
        self._client.execute("ZREM", self._prefix + "deliveries", key)

    # -- forks -------------------------------------------------------------------------------------

    def after_fork_in_child(self, is_here: bool) -> None:
        """Let go of what belongs to the parent: redis-py drops the connections by itself."""
        self._id = ""
        if is_here and self._listener is not None:
            self._listener.kill(block=False)
        self._listener = None


def _pairs(flat: list[bytes]) -> dict[str, bytes]:
    """Return what Redis answers as names and values in turn."""
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _progress(text: bytes | None) -> Progress:
    return NO_PROGRESS if text is None else Progress.from_json(text)
