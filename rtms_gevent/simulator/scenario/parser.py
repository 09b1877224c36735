"""Parses a scenario from JSON, and says where what is wrong.

Whatever is wrong raises a :class:`~rtms_gevent.errors.ConfigurationError` that names the entry
and the field.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from ...errors import ConfigurationError
from . import checks
from .assets import SHIPPED, Library
from .checks import Check, Known
from .model import FIRST_USER_ID, USER_ID_STEP, Person, Scenario, Step
from .schema import ACTIONS, FAULTS, PARTICIPANT, POSSIBLE_FROM_OUTSIDE, SCENARIO, Fields

__all__ = ["parse_scenario"]


def parse_scenario(data: object, *, name: str, folder: pathlib.Path | None = None) -> Scenario:
    """Check what was read from JSON.

    Args:
        data: the decoded JSON.
        name: for messages.
        folder: where the recordings and pictures it names are looked for first.

    Raises:
        ConfigurationError: names the entry and the field that are wrong.
    """
    shipped = SHIPPED / "assets"
    library = Library((shipped,) if folder is None else (folder, shipped))
    return _Parser(name, library).parse(data)


class _Parser:
    """Reads one scenario."""

    def __init__(self, name: str, library: Library) -> None:
        self._name = name
        self._known = Known(library)

    def parse(self, data: object) -> Scenario:
        if not isinstance(data, dict):
            raise self._error("the file", "must hold an object")
        lists = ("participants", "faults", "timeline")
        fields = self._parse_fields("the scenario", data, SCENARIO, lists)
        fields.pop("description", None)
        self._parse_participants(data.get("participants", {}))
        faults = self._parse_steps("faults", data, FAULTS, at=0.0)
        steps = self._parse_steps("timeline", data, {**ACTIONS, **FAULTS})
        steps.sort(key=lambda step: step.at)
        self._check_presence(steps)
        return Scenario(
            name=self._name,
            people=self._known.people,
            faults=tuple(faults),
            steps=tuple(steps),
            library=self._known.library,
            **fields,
        )

    def _parse_participants(self, data: Any) -> None:
        if not isinstance(data, dict):
            raise self._error("participants", "must be an object")
        for number, (key, entry) in enumerate(data.items()):
            path = f"participants.{key}"
            if not isinstance(entry, dict):
                raise self._error(path, "must be an object")
            fields = self._parse_fields(path, entry, PARTICIPANT)
            fields.pop("voice", None)
            user_id = fields.setdefault("user_id", FIRST_USER_ID + number * USER_ID_STEP)
            if any(person.user_id == user_id for person in self._known.people.values()):
                raise self._error(f"{path}.user_id", "is somebody else's, too")
            person = Person(key, **{"name": key, "channel_id": str(user_id), **fields})
            self._known.people[key] = person

    def _parse_steps(
        self,
        field: str,
        data: dict[str, Any],
        actions: Mapping[str, Fields],
        at: float | None = None,
    ) -> list[Step]:
        """Return the entries of one list, whose time is ``at`` if they have none of their own."""
        entries = data.get(field, [])
        if not isinstance(entries, list):
            raise self._error(field, "must be a list")
        return [
            self._parse_step(f"{field}[{number}]", entry, actions, at)
            for number, entry in enumerate(entries)
        ]

    def _parse_step(
        self, path: str, entry: Any, actions: Mapping[str, Fields], at: float | None
    ) -> Step:
        if not isinstance(entry, dict):
            raise self._error(path, "must be an object")
        name = entry.get("do")
        action = actions.get(name) if isinstance(name, str) else None
        if action is None:
            raise self._error(f"{path}.do", f"must be one of {', '.join(actions)}, not {name!r}")
        path = f"{path} ({name})"
        if at is None:
            action = Fields({"at": checks.seconds, **action.required}, action.optional)
        fields = self._parse_fields(path, entry, action, ("do", "comment"))
        return Step(fields.pop("at", at), str(name), fields)

    def _parse_fields(
        self, path: str, entry: dict[str, Any], fields: Fields, others: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Return the fields that an entry has, checked; ``others`` may be there, too."""
        wanted = {**fields.required, **fields.optional}
        known = (*others, *wanted)
        for field in entry:
            if field not in known:
                raise self._error(f"{path}.{field}", f"is not known; known: {', '.join(known)}")
        for field in fields.required:
            if field not in entry:
                raise self._error(f"{path}.{field}", "is missing")
        return {
            field: self._parse_field(f"{path}.{field}", entry[field], check)
            for field, check in wanted.items()
            if field in entry
        }

    def _parse_field(self, path: str, value: Any, check: Check) -> Any:
        try:
            return check(self._known, value)
        except ValueError as error:
            raise self._error(path, str(error)) from None

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
                path = f"timeline: {step.action} at {step.at:g}"
                raise self._error(path, f"needs {absent}, who is not in the meeting then")
            if step.action == "leave":
                present -= people

    def _error(self, path: str, text: str) -> ConfigurationError:
        return ConfigurationError(f"scenario {self._name!r}: {path} {text}")
