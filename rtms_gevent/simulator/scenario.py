"""A scenario: who is in a meeting and what happens when, as data that a user can write.

The format is described in ``docs/simulator.md``. Whatever is wrong in a file is told as a
:class:`~rtms_gevent.errors.ConfigurationError` that names the entry and the field.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from ..enums import MediaDataType, MessageAttribute, Product, SessionState, StopReason
from ..errors import ConfigurationError
from .media import Library
from .negotiation import MEDIA_KEYS

__all__ = ["Person", "Scenario", "Step", "load_scenario"]

SHIPPED = pathlib.Path(__file__).parent / "scenarios"

#: Bytes of the largest scenario file.
MAX_FILE = 4 * 1024 * 1024

#: User ids count up from here, in steps as Zoom's do.
FIRST_USER_ID, USER_ID_STEP = 16778240, 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """A participant."""

    key: str  #: the name by which the timeline calls them
    user_id: int
    name: str
    channel_id: str  #: instead of the user id, in Contact Center and phone


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
        return dataclasses.replace(self, product=_product(product))


def load_scenario(source: str | pathlib.Path | Scenario) -> Scenario:
    """Return the scenario that ``source`` names.

    Args:
        source: the name of a shipped scenario, the path of a JSON file, or a scenario already.

    Raises:
        ConfigurationError: there is no such scenario, or it is not valid.
    """
    if isinstance(source, Scenario):
        return source
    path = pathlib.Path(source)
    names = sorted(file.stem for file in SHIPPED.glob("*.json"))
    if str(source) in names:
        path = SHIPPED / f"{source}.json"
    elif not path.is_file():
        raise ConfigurationError(
            f"no scenario {str(source)!r}: give a file, or one of {', '.join(names)}"
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


# -- checks of single values -----------------------------------------------------------------------

#: Checks a value and returns what the player needs, or raises ValueError with what is wrong.
Check = Callable[["_Parser", Any], Any]


def _product(value: object) -> Product:
    if isinstance(value, Product):
        return value
    for product in Product:
        if value == product.name.lower():
            return product
    names = ", ".join(product.name.lower() for product in Product)
    raise ConfigurationError(f"product must be one of {names}, not {value!r}")


def _seconds(parser: _Parser, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e6:
        raise ValueError("must be a number of seconds, 0 or more")
    return float(value)


def _text(parser: _Parser, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text that is not empty")
    return value


def _whole(parser: _Parser, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


def _yes_or_no(parser: _Parser, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _object(parser: _Parser, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return value


def _event(parser: _Parser, value: Any) -> dict[str, Any]:
    event = _object(parser, value)
    _whole(parser, event.get("event_type", event.get("event_code")))
    return event


def _person(parser: _Parser, value: Any) -> Person:
    person = parser.people.get(value) if isinstance(value, str) else None
    if person is None:
        known = ", ".join(parser.people) or "nobody"
        raise ValueError(f"must name a participant ({known}), not {value!r}")
    return person


def _persons(parser: _Parser, value: Any) -> tuple[Person, ...]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError("must name somebody")
    return tuple(_person(parser, one) for one in values)


def _speech(parser: _Parser, value: Any) -> str:
    return parser.library.check_speech(_text(parser, value))


def _picture(parser: _Parser, value: Any) -> str:
    return parser.library.check_pictures(_text(parser, value))


def _sockets(parser: _Parser, value: Any) -> str:
    names = ("signaling", "media", "all", "all_sockets", *MEDIA_KEYS.values())
    if value not in names:
        raise ValueError(f"must be one of {', '.join(names)}")
    return str(value)


def _close_code(parser: _Parser, value: Any) -> int:
    code = _whole(parser, value)
    if not 1000 <= code <= 4999:
        raise ValueError("must be a WebSocket close code, 1000 to 4999")
    return code


def _named(kind: type[SessionState | MessageAttribute]) -> Check:
    def check(parser: _Parser, value: Any) -> int:
        for member in kind:
            if value == member.name.lower():
                return int(member)
        names = ", ".join(member.name.lower() for member in kind)
        raise ValueError(f"must be one of {names}")

    return check


@dataclasses.dataclass(frozen=True, slots=True)
class _Action:
    required: Mapping[str, Check]
    optional: Mapping[str, Check] = dataclasses.field(default_factory=dict)


#: What can happen, and the fields of each; every one is a method of the player.
ACTIONS = {
    "join": _Action({"who": _persons}, {"muted": _yes_or_no}),
    "leave": _Action({"who": _persons}),
    "mute": _Action({"who": _persons}),
    "unmute": _Action({"who": _persons}),
    "speak": _Action({"who": _person, "audio": _speech}, {"text": _text}),
    "transcript": _Action(
        {"who": _person, "text": _text},
        {
            "from": _seconds,
            "to": _seconds,
            "language": _whole,
            "attribute": _named(MessageAttribute),
        },
    ),
    "camera_on": _Action({"who": _person, "video": _picture}),
    "camera_off": _Action({"who": _persons}),
    "share": _Action({"who": _person, "image": _picture}),
    "share_stop": _Action({}),
    "chat": _Action({"who": _person, "text": _text}, {"fields": _object}),
    "event": _Action({"event": _event}),
    "session": _Action({"state": _named(SessionState)}, {"reason": _whole}),
    "close": _Action({"sockets": _sockets}, {"code": _close_code}),
    "reset": _Action({"sockets": _sockets}),
    "stop": _Action({}, {"reason": _whole}),
}


#: What is said may still arrive when whoever said it has left.
_POSSIBLE_FROM_OUTSIDE = ("transcript", "chat")


class _Parser:
    """Turns decoded JSON into a :class:`Scenario`."""

    def __init__(self, name: str, library: Library) -> None:
        self.name = name
        self.library = library
        self.people: dict[str, Person] = {}

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
                "participants",
                "timeline",
            ),
        )
        participants = data.get("participants", {})
        if not isinstance(participants, dict):
            raise self._wrong("participants", "must be an object")
        for number, (key, fields) in enumerate(participants.items()):
            self.people[key] = self._parse_person(number, key, fields)
        timeline = data.get("timeline", [])
        if not isinstance(timeline, list):
            raise self._wrong("timeline", "must be a list")
        steps = [self._parse_step(number, entry) for number, entry in enumerate(timeline)]
        steps.sort(key=lambda step: step.at)
        self._check_presence(steps)
        duration = data.get("duration")
        try:
            return Scenario(
                name=self.name,
                product=_product(data.get("product", "meeting")),
                media=self._parse_media(data.get("media", list(MEDIA_KEYS.values()))),
                people=self.people,
                steps=tuple(steps),
                duration=None if duration is None else self._field("duration", duration, _seconds),
                stop_reason=self._field("stop_reason", data.get("stop_reason", 6), _whole),
                library=self.library,
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
        self._refuse_unknown(entry, fields, ("name", "user_id", "channel_id", "voice"))
        user_id = fields.get("user_id", FIRST_USER_ID + number * USER_ID_STEP)
        user_id = self._field(f"{entry}.user_id", user_id, _whole)
        if not 0 < user_id < 2**31:
            raise self._wrong(f"{entry}.user_id", "must be above 0 and fit 32 bits")
        if any(person.user_id == user_id for person in self.people.values()):
            raise self._wrong(f"{entry}.user_id", "is somebody else's, too")
        return Person(
            key,
            user_id,
            self._field(f"{entry}.name", fields.get("name", key), _text),
            self._field(f"{entry}.channel_id", fields.get("channel_id", str(user_id)), _text),
        )

    def _parse_step(self, number: int, entry: Any) -> Step:
        place = f"timeline[{number}]"
        if not isinstance(entry, dict):
            raise self._wrong(place, "must be an object")
        name = entry.get("do")
        action = ACTIONS.get(name) if isinstance(name, str) else None
        if action is None:
            raise self._wrong(f"{place}.do", f"must be one of {', '.join(ACTIONS)}, not {name!r}")
        place = f"{place} ({name})"
        checks = {**action.required, **action.optional}
        self._refuse_unknown(place, entry, ("at", "do", "comment", *checks))
        for field in ("at", *action.required):
            if field not in entry:
                raise self._wrong(f"{place}.{field}", "is missing")
        fields = {
            field: self._field(f"{place}.{field}", entry[field], check)
            for field, check in checks.items()
            if field in entry
        }
        return Step(self._field(f"{place}.at", entry["at"], _seconds), str(name), fields)

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
            if absent and step.action not in _POSSIBLE_FROM_OUTSIDE:
                place = f"timeline: {step.action} at {step.at:g}"
                raise self._wrong(place, f"needs {absent}, who is not in the meeting then")
            if step.action == "leave":
                present -= people

    def _field(self, place: str, value: Any, check: Check) -> Any:
        try:
            return check(self, value)
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
