"""What the local store does in one transaction each: the rules of :class:`.Store`, as SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping
from typing import Any

from .records import Claim, Letter, Progress, StreamRow, Worker
from .store import DELIVERIES_KEPT, ENDED_KEPT, OFFERS_KEPT

__all__ = ["LocalSteps"]

_ROWS = """
    SELECT streams.id, document, owner, fence, has_ended, progress, since, seen
    FROM streams LEFT JOIN workers ON workers.id = owner
"""


class LocalSteps:
    """One worker's steps. Each is to be called within a transaction; ``db`` is its connection."""

    def __init__(
        self,
        db: sqlite3.Connection,
        worker_id: str,
        lease: float,
        clock: Callable[[], float],
        has_died: Callable[[str], bool],
    ) -> None:
        """Be ready.

        Args:
            db: The database.
            worker_id: Whose steps these are.
            lease: See :attr:`.Store.lease`.
            clock: Returns seconds, the same in all processes.
            has_died: Whether a worker that was known does not live any more.
        """
        self._db = db
        self._id = worker_id
        self._lease = lease
        self._clock = clock
        self._has_died = has_died
        self._hints: set[str] = set()

    def take_hints(self) -> set[str]:
        """Return the ids of the workers that should look at what the steps since last time did."""
        hints, self._hints = self._hints, set()
        return hints

    # -- workers -----------------------------------------------------------------------------------

    def note(self, worker: Worker) -> None:
        """Note that this worker lives."""
        values = (self._id, worker.to_json(), self._clock())
        self._db.execute("INSERT OR REPLACE INTO workers VALUES (?, ?, ?)", values)

    def forget(self) -> None:
        """Forget this worker."""
        self._db.execute("DELETE FROM workers WHERE id = ?", (self._id,))
        self._offer_those_of(self._id)

    def _offer_those_of(self, worker_id: str) -> None:
        """Let the streams wait that a worker has left."""
        update = "UPDATE streams SET owner = NULL, since = ? WHERE owner = ? AND has_ended = 0"
        if self._db.execute(update, (self._clock(), worker_id)).rowcount:
            self._hint_all()

    def workers(self) -> list[Worker]:
        """Return the workers that live, and were heard of."""
        query = "SELECT id, record, ? - seen FROM workers"
        living = [
            Worker.from_json(record, age)
            for worker_id, record, age in self._db.execute(query, (self._clock(),))
            if age <= self._lease and not self._has_died(worker_id)
        ]
        return sorted(living, key=lambda worker: worker.started)

    def _hint_all(self) -> None:
        self._hints.update(found for (found,) in self._db.execute("SELECT id FROM workers"))

    # -- streams -----------------------------------------------------------------------------------

    def offer(self, stream_id: str, document: Mapping[str, Any]) -> bool:
        """See :meth:`.Store.offer`."""
        text, now = _to_json(document), self._clock()
        query = "SELECT owner, fence, has_ended FROM streams WHERE id = ?"
        unknown = (None, 0, True)
        owner, fence, has_ended = self._db.execute(query, (stream_id,)).fetchone() or unknown
        if has_ended:
            self._db.execute("DELETE FROM streams WHERE id = ?", (stream_id,))  # and its letters
            insert = "INSERT INTO streams (id, document, since, fence) VALUES (?, ?, ?, ?)"
            self._db.execute(insert, (stream_id, text, now, fence))
        elif owner is None:
            update = "UPDATE streams SET document = ?, since = ? WHERE id = ?"
            self._db.execute(update, (text, now, stream_id))
        else:
            self._db.execute("UPDATE streams SET document = ? WHERE id = ?", (text, stream_id))
            self._put_letter(stream_id, owner, text)
            return False
        self._hint_all()
        return True

    def send(self, stream_id: str, document: Mapping[str, Any], ends: bool) -> bool:
        """See :meth:`.Store.send`."""
        query = "SELECT owner, has_ended FROM streams WHERE id = ?"
        row = self._db.execute(query, (stream_id,)).fetchone()
        if row is None:
            return False
        owner, has_ended = row
        if self._has_died(owner) if has_ended else (ends and owner is None):
            self._db.execute("DELETE FROM streams WHERE id = ?", (stream_id,))
            return False
        self._put_letter(stream_id, owner, _to_json(document))
        if ends and has_ended:
            self._db.execute("UPDATE streams SET is_over = 1 WHERE id = ?", (stream_id,))
        return True

    def _put_letter(self, stream_id: str, owner: str | None, text: str) -> None:
        self._db.execute("INSERT INTO letters (stream, document) VALUES (?, ?)", (stream_id, text))
        if owner is not None:
            self._hints.add(owner)

    def find_claimable(self, may_expire: bool) -> str | None:
        """Return the id of the stream that :meth:`claim` would take."""
        now = self._clock()
        waits = """
            SELECT id FROM streams WHERE owner IS NULL AND has_ended = 0 AND since >= ?
            ORDER BY since LIMIT 1
        """
        row = self._db.execute(waits, (now - OFFERS_KEPT,)).fetchone()
        if row is None:
            owners = """
                SELECT owner, seen FROM
                (SELECT DISTINCT owner FROM streams WHERE owner <> ? AND has_ended = 0)
                LEFT JOIN workers ON id = owner
            """
            lost = [
                owner
                for owner, seen in self._db.execute(owners, (self._id,)).fetchall()
                if self._has_died(owner)
                or (may_expire and seen is not None and now - seen > self._lease)
            ]
            is_lost = """
                SELECT id FROM streams WHERE owner IN (SELECT value FROM json_each(?))
                AND has_ended = 0 ORDER BY since LIMIT 1
            """
            row = self._db.execute(is_lost, (json.dumps(lost),)).fetchone() if lost else None
        return None if row is None else str(row[0])

    def claim(self, may_expire: bool) -> Claim | None:
        """See :meth:`.Store.claim`."""
        stream_id = self.find_claimable(may_expire)
        if stream_id is None:
            return None
        query = "SELECT fence, document, is_takeover, progress FROM streams WHERE id = ?"
        fence, document, is_takeover, progress = self._db.execute(query, (stream_id,)).fetchone()
        self._own(stream_id, fence + 1)
        if self._db.execute("SELECT 1 FROM letters WHERE stream = ?", (stream_id,)).fetchone():
            self._hints.add(self._id)
        return Claim(
            stream_id,
            fence + 1,
            json.loads(document),
            bool(is_takeover),
            Progress.from_json(progress),
        )

    def _own(self, stream_id: str, fence: int) -> None:
        update = "UPDATE streams SET owner = ?, fence = ?, is_takeover = 1, since = ? WHERE id = ?"
        self._db.execute(update, (self._id, fence, self._clock(), stream_id))

    def renew(self, worker: Worker, claims: Collection[Claim]) -> list[str]:
        """See :meth:`.Store.renew`."""
        self.note(worker)
        return [claim.stream_id for claim in claims if not self._renew(claim)]

    def _renew(self, claim: Claim) -> bool:
        """Note the progress of a stream; return whether it is still this worker's."""
        stream_id, progress = claim.stream_id, claim.progress.to_json()
        update = "UPDATE streams SET progress = ? WHERE id = ? AND owner = ? AND fence = ?"
        if self._db.execute(update, (progress, stream_id, self._id, claim.fence)).rowcount:
            return True
        query = "SELECT owner, fence, document FROM streams WHERE id = ?"
        row = self._db.execute(query, (stream_id,)).fetchone()
        if row is None:
            insert = "INSERT INTO streams (id, document, since) VALUES (?, ?, 0)"
            self._db.execute(insert, (stream_id, _to_json(claim.document)))
        else:
            owner, fence, document = row
            if owner is not None or fence >= claim.fence:
                return False
            # It was forgotten, and a start came before this renewal: that is the owner's.
            self._put_letter(stream_id, self._id, document)
        self._own(stream_id, claim.fence)
        self._db.execute(update, (progress, stream_id, self._id, claim.fence))
        return True

    def release(self, claim: Claim, has_ended: bool) -> bool:
        """See :meth:`.Store.release`."""
        update = """
            UPDATE streams SET progress = ?, since = ?, has_ended = ?, owner = ?
            WHERE id = ? AND owner = ? AND fence = ?
        """
        owner = self._id if has_ended else None
        values = (claim.progress.to_json(), self._clock(), has_ended, owner)
        which = (claim.stream_id, self._id, claim.fence)
        was_ours = self._db.execute(update, (*values, *which)).rowcount == 1
        if was_ours and not has_ended:
            self._hint_all()
        return was_ours

    def take_expired(self) -> tuple[list[StreamRow], list[str]]:
        """See :meth:`.Store.take_expired`; return the workers, too, that died and are forgotten."""
        expired, forgotten, orphans, dead = self.find_expired()
        forgotten += [row.stream_id for row in expired]
        self._db.executemany("DELETE FROM streams WHERE id = ?", [(each,) for each in forgotten])
        adopt = "UPDATE streams SET owner = ? WHERE id = ?"
        self._db.executemany(adopt, [(self._id, each) for each in orphans])
        if orphans:
            self._hints.add(self._id)
        for each in dead:
            self._db.execute("DELETE FROM workers WHERE id = ?", (each,))
            self._offer_those_of(each)
        return expired, dead

    def find_expired(self) -> tuple[list[StreamRow], list[str], list[str], list[str]]:
        """Return offers that are too old, and streams that ended long ago.

        And streams that have ended with letters that nobody reads, and workers that died.
        """
        now = self._clock()
        ended = """
            SELECT id FROM streams
            WHERE has_ended AND since < ? AND id NOT IN (SELECT stream FROM letters)
        """
        forgotten = [found for (found,) in self._db.execute(ended, (now - ENDED_KEPT,))]
        with_letters = """
            SELECT id, owner FROM streams
            WHERE has_ended AND id IN (SELECT stream FROM letters) AND owner <> ?
        """
        orphans = [
            stream_id
            for stream_id, owner in self._db.execute(with_letters, (self._id,))
            if self._has_died(owner)
        ]
        expired = self._rows("WHERE owner IS NULL AND since < ?", now - OFFERS_KEPT)
        known = self._db.execute("SELECT id FROM workers")
        dead = [found for (found,) in known if self._has_died(found)]
        return expired, forgotten, orphans, dead

    def streams(self) -> list[StreamRow]:
        """See :meth:`.Store.streams`."""
        return self._rows("")

    def _rows(self, where: str, *values: object) -> list[StreamRow]:
        now = self._clock()
        found = self._db.execute(f"{_ROWS} {where} ORDER BY since", values)
        return [
            StreamRow(
                stream_id,
                json.loads(document),
                owner,
                fence,
                bool(has_ended),
                Progress.from_json(progress),
                age=now - since,
                silent=0.0 if owner is None else float("inf") if seen is None else now - seen,
            )
            for stream_id, document, owner, fence, has_ended, progress, since, seen in found
        ]

    # -- news --------------------------------------------------------------------------------------

    def news(self) -> tuple[dict[int, Letter], bool]:
        """Return the letters to this worker's streams, by number; and whether one is to claim."""
        return self._letters(), self.find_claimable(may_expire=False) is not None

    def _letters(self) -> dict[int, Letter]:
        query = """
            SELECT number, stream, letters.document FROM letters JOIN streams ON id = stream
            WHERE owner = ? ORDER BY number
        """
        return {
            number: Letter(stream_id, json.loads(document))
            for number, stream_id, document in self._db.execute(query, (self._id,))
        }

    def remove_letters(self, numbers: Collection[int]) -> None:
        """Remove letters that were read, and the streams that are over with them."""
        read = [(number,) for number in numbers]
        self._db.executemany("DELETE FROM letters WHERE number = ?", read)
        over = "DELETE FROM streams WHERE is_over AND id NOT IN (SELECT stream FROM letters)"
        self._db.execute(over)

    # -- deliveries --------------------------------------------------------------------------------

    def add(self, key: str, now: float) -> bool:
        """See :meth:`.Store.add`."""
        self._db.execute("DELETE FROM deliveries WHERE added < ?", (now - DELIVERIES_KEPT,))
        insert = "INSERT OR IGNORE INTO deliveries VALUES (?, ?)"
        return self._db.execute(insert, (key, now)).rowcount == 1

    def discard(self, key: str) -> None:
        """See :meth:`.Store.discard`."""
        self._db.execute("DELETE FROM deliveries WHERE key = ?", (key,))


def _to_json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
