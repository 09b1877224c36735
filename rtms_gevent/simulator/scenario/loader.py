"""A scenario: who is in a meeting and what happens when, as data that a user can write.

The format is described in ``docs/simulator.md``. Whatever is wrong in a file is told as a
:class:`~rtms_gevent.errors.ConfigurationError` that names the entry and the field.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from ...enums import MediaDataType, Product, StopReason
from ...errors import ConfigurationError
from ..wire.negotiation import MEDIA_KEYS
from . import checks
from .assets import Library
from .chaos import chaos_data
from .checks import Check, Known
from .schema import ACTIONS, FAULTS, POSSIBLE_FROM_OUTSIDE, Action

__all__ = ["Person", "Scenario", "Step", "load_scenario", "make_chaos"]

SHIPPED = pathlib.Path(__file__).parent.parent / "scenarios"

#: Bytes of the largest scenario file.
MAX_FILE = 4 * 1024 * 1024

#: User ids count up from here, in steps as Zoom's do.
FIRST_USER_ID, USER_ID_STEP = 16778240, 1024

#: Of consumers who have none of their own; nobody's.
PHONE_NUMBER = "+18005550100"


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """A participant."""

    key: str  #: the name by which the timeline calls them
    user_id: int
    name: str
    channel_id: str  #: instead of the user id, in Contact Center and phone
    phone_number: str = PHONE_NUMBER  #: of a consumer, in Contact Center


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens ``at`` scenario seconds after the start."""

    at: float
    action: str
    fields: Mapping[str, Any]


_SOMEBODY = Person("somebody", FIRST_USER_ID, "Simulated Speaker", str(FIRST_USER_ID))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario that was read and found valid."""

    name: str
    product: Product = Product.MEETING
    #: media types that the app's scopes allow
    media: frozenset[MediaDataType] = frozenset(MEDIA_KEYS)
    people: Mapping[str, Person] = dataclasses.field(default_factory=dict)
    #: in order of time
    steps: tuple[Step, ...] = ()
    #: scenario seconds after which the stream is stopped; None plays until somebody stops it
    duration: float | None = None
    stop_reason: int = StopReason.MEETING_ENDED
    #: scenario seconds of audio that are kept for a client whose socket is gone
    buffer_audio: float = 0.0
    #: what becomes of a client that joins while another is there: it is "refused", or it "evicts"
    #: the other; Zoom's own documents say both
    second_client: str = "refused"
    #: what is wrong from the beginning, before a client has come
    faults: tuple[Step, ...] = ()
    library: Library = dataclasses.field(default_factory=lambda: Library(()))

    @classmethod
    def parse(cls, data: object, *, name: str, folder: pathlib.Path | None = None) -> Scenario:
        """Check what was read from JSON.

        Args:
            data: the decoded JSON.
            name: for messages.
            folder: where the recordings and pictures it names are looked for first.

        Raises:
            ConfigurationError: names the entry and the field that are wrong.
        """
        shipped = SHIPPED / "assets"
        library = Library((folder, shipped) if folder is not None else (shipped,))
        return _Parser(name, library).parse(data)

    @property
    def first_person(self) -> Person:
        """Who sends what is sent by hand without naming anybody."""
        return next(iter(self.people.values()), _SOMEBODY)

    def person_of(self, user_id: int) -> Person | None:
        """Find a participant by user id."""
        for person in (*self.people.values(), _SOMEBODY):
            if person.user_id == user_id:
                return person
        return None

    def for_product(self, product: Product | str) -> Scenario:
        """Return the same scenario in another product."""
        return dataclasses.replace(self, product=checks.product(product))


def load_scenario(source: str | pathlib.Path | Scenario) -> Scenario:
    """Return the scenario that ``source`` names.

    Args:
        source: the name of a shipped scenario, "chaos", the path of a JSON file, or a scenario
            already.

    Raises:
        ConfigurationError: there is no such scenario, or it is not valid.
    """
    if isinstance(source, Scenario):
        return source
    if source == "chaos":
        return make_chaos()
    path = pathlib.Path(source)
    names = sorted(file.stem for file in SHIPPED.glob("*.json"))
    if str(source) in names:
        path = SHIPPED / f"{source}.json"
    elif not path.is_file():
        raise ConfigurationError(
            f"no scenario {str(source)!r}: give a file, or one of {', '.join(names)}, chaos"
        )
    try:
        if path.stat().st_size > MAX_FILE:
            raise ConfigurationError(f"scenario {str(source)!r} is larger than {MAX_FILE} bytes")
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"scenario {str(source)!r} cannot be read: {error}") from error
    return Scenario.parse(data, name=path.stem, folder=path.parent.resolve())


def make_chaos(seed: int | str = 0, duration: float = 60.0) -> Scenario:
    """Return a scenario in which anything may go wrong at any time.

    Args:
        seed: the same seed and duration give the same scenario.
        duration: scenario seconds, of which the last few have no new faults.

    Raises:
        ConfigurationError: the duration is not a number of seconds.
    """
    number = isinstance(duration, (int, float)) and not isinstance(duration, bool)
    if not number or not 0 < duration < 1e6:
        raise ConfigurationError(f"duration must be a number of seconds above 0, not {duration!r}")
    return Scenario.parse(chaos_data(seed, duration), name=f"chaos {seed}")


class _Parser:
    """Turns decoded JSON into a :class:`Scenario`."""

    def __init__(self, name: str, library: Library) -> None:
        self.name = name
        self.known = Known(library)

    def parse(self, data: object) -> Scenario:
        if not isinstance(data, dict):
            raise self._wrong("the file", "must hold an object")
        self._refuse_unknown(
            "the scenario",
            data,
            (
                "description",
                "product",
                "media",
                "duration",
                "stop_reason",
                "buffer_audio",
                "second_client",
                "participants",
                "faults",
                "timeline",
            ),
        )
        participants = data.get("participants", {})
        if not isinstance(participants, dict):
            raise self._wrong("participants", "must be an object")
        for number, (key, fields) in enumerate(participants.items()):
            self.known.people[key] = self._parse_person(number, key, fields)
        faults = self._parse_steps("faults", data, FAULTS, at=0.0)
        steps = self._parse_steps("timeline", data, {**ACTIONS, **FAULTS})
        steps.sort(key=lambda step: step.at)
        self._check_presence(steps)
        duration = data.get("duration")
        try:
            return Scenario(
                name=self.name,
                product=checks.product(data.get("product", "meeting")),
                media=self._parse_media(data.get("media", list(MEDIA_KEYS.values()))),
                people=self.known.people,
                faults=tuple(faults),
                steps=tuple(steps),
                buffer_audio=self._field(
                    "buffer_audio", data.get("buffer_audio", 0), checks.seconds
                ),
                second_client=self._field(
                    "second_client", data.get("second_client", "refused"), checks.second_client
                ),
                duration=None
                if duration is None
                else self._field("duration", duration, checks.seconds),
                stop_reason=self._field("stop_reason", data.get("stop_reason", 6), checks.whole),
                library=self.known.library,
            )
        except ConfigurationError as error:
            if str(error).startswith("scenario "):
                raise
            raise self._wrong("the scenario", str(error)) from None

    def _parse_media(self, value: Any) -> frozenset[MediaDataType]:
        kinds = {name: kind for kind, name in MEDIA_KEYS.items()}
        names = list(kinds)  # not the dictionary: what is asked for may not be hashable
        if not isinstance(value, list) or not value or any(name not in names for name in value):
            raise self._wrong("media", f"must be a list of {', '.join(kinds)}")
        return frozenset(kinds[name] for name in value)

    def _parse_person(self, number: int, key: str, fields: Any) -> Person:
        entry = f"participants.{key}"
        if not isinstance(fields, dict):
            raise self._wrong(entry, "must be an object")
        self._refuse_unknown(
            entry, fields, ("name", "user_id", "channel_id", "phone_number", "voice")
        )
        user_id = fields.get("user_id", FIRST_USER_ID + number * USER_ID_STEP)
        user_id = self._field(f"{entry}.user_id", user_id, checks.whole)
        if not 0 < user_id < 2**31:
            raise self._wrong(f"{entry}.user_id", "must be above 0 and fit 32 bits")
        if any(person.user_id == user_id for person in self.known.people.values()):
            raise self._wrong(f"{entry}.user_id", "is somebody else's, too")
        return Person(
            key,
            user_id,
            self._field(f"{entry}.name", fields.get("name", key), checks.text),
            self._field(f"{entry}.channel_id", fields.get("channel_id", str(user_id)), checks.text),
            self._field(
                f"{entry}.phone_number", fields.get("phone_number", PHONE_NUMBER), checks.text
            ),
        )

    def _parse_steps(
        self,
        field: str,
        data: dict[str, Any],
        actions: Mapping[str, Action],
        at: float | None = None,
    ) -> list[Step]:
        """Return the entries of one list, whose time is ``at`` if they have none of their own."""
        entries = data.get(field, [])
        if not isinstance(entries, list):
            raise self._wrong(field, "must be a list")
        return [
            self._parse_step(f"{field}[{number}]", entry, actions, at)
            for number, entry in enumerate(entries)
        ]

    def _parse_step(
        self, place: str, entry: Any, actions: Mapping[str, Action], at: float | None
    ) -> Step:
        if not isinstance(entry, dict):
            raise self._wrong(place, "must be an object")
        name = entry.get("do")
        action = actions.get(name) if isinstance(name, str) else None
        if action is None:
            raise self._wrong(f"{place}.do", f"must be one of {', '.join(actions)}, not {name!r}")
        place = f"{place} ({name})"
        wanted = {**action.required, **action.optional}
        times = ("at",) if at is None else ()
        self._refuse_unknown(place, entry, (*times, "do", "comment", *wanted))
        for field in (*times, *action.required):
            if field not in entry:
                raise self._wrong(f"{place}.{field}", "is missing")
        fields = {
            field: self._field(f"{place}.{field}", entry[field], check)
            for field, check in wanted.items()
            if field in entry
        }
        if at is None:
            at = self._field(f"{place}.at", entry["at"], checks.seconds)
        return Step(at, str(name), fields)

    def _check_presence(self, steps: list[Step]) -> None:
        """Refuse what would silently not happen: somebody acts who is not there."""
        present: set[str] = set()
        for step in steps:
            who = step.fields.get("who", ())
            people = {person.key for person in (who if isinstance(who, tuple) else (who,))}
            if step.action == "join":
                present |= people
                continue
            absent = ", ".join(sorted(people - present))
            if absent and step.action not in POSSIBLE_FROM_OUTSIDE:
                place = f"timeline: {step.action} at {step.at:g}"
                raise self._wrong(place, f"needs {absent}, who is not in the meeting then")
            if step.action == "leave":
                present -= people

    def _field(self, place: str, value: Any, check: Check) -> Any:
        try:
            return check(self.known, value)
        except ConfigurationError:
            raise
        except ValueError as error:
            raise self._wrong(place, str(error)) from None

    def _refuse_unknown(self, place: str, data: dict[str, Any], known: tuple[str, ...]) -> None:
        for field in data:
            if field not in known:
                raise self._wrong(f"{place}.{field}", f"is not known; known: {', '.join(known)}")

    def _wrong(self, place: str, problem: str) -> ConfigurationError:
        return ConfigurationError(f"scenario {self.name!r}: {place} {problem}")
