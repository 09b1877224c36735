"""Reads what the workers of a shop have noted."""

from __future__ import annotations

import collections
import json

__all__ = ["Diary"]


class Diary:
    """The notes of all workers that share a directory, those of the dead included."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self._read = collections.Counter()  # bytes, by file
        self._notes = collections.defaultdict(lambda: collections.defaultdict(list))

    def _read_on(self):
        for path in self.directory.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._read[path])
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._read[path] += len(line)
                    note = json.loads(line)
                    self._notes[note["what"]][note.get("stream")].append(note)

    def of(self, what, stream=None):
        """Return the notes of one kind, of one stream or of all, in the order of time."""
        self._read_on()
        by_stream = self._notes[what]
        notes = (
            by_stream[stream] if stream else [note for each in by_stream.values() for note in each]
        )
        return sorted(notes, key=lambda note: note["at"])

    def starts(self, since=0.0):
        """Return by stream what was started after a moment."""
        found = collections.defaultdict(list)
        for note in self.of("started"):
            if note["at"] > since:
                found[note["stream"]].append(note)
        return found

    def owners(self):
        """Return the process that has started each stream last, by stream."""
        return {stream: starts[-1]["pid"] for stream, starts in self.starts().items()}

    def shares(self, streams):
        """Return how many of these streams each process has started last, by process."""
        owners = self.owners()
        return collections.Counter(owners[stream] for stream in streams if stream in owners)

    def missing(self, since):
        """Return how many seconds were told as missing after a moment, by stream."""
        seconds = collections.defaultdict(float)
        for gap in self.of("gap"):
            if gap["at"] > since:
                seconds[gap["stream"]] += (gap["end"] - gap["start"]) / 1000
        return seconds
