"""A scenario: who is in a meeting and what happens when, as data that a user can write."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from ..enums import MediaDataType, Product
from ..errors import ConfigurationError

__all__ = ["Person", "Scenario", "Step", "load_scenario"]


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """A participant."""

    key: str
    user_id: int
    name: str
    channel_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens ``at`` scenario seconds after the start."""

    at: float
    action: str
    fields: dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A parsed scenario file."""

    name: str
    product: Product
    media: frozenset[MediaDataType]
    people: dict[str, Person]
    steps: tuple[Step, ...]
    #: scenario seconds after which the stream is stopped; None plays until somebody stops it
    duration: float | None
    stop_reason: int

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
        if not isinstance(product, Product):
            try:
                product = Product[product.upper()]
            except KeyError:
                raise ConfigurationError(f"no product is named {product!r}") from None
        return dataclasses.replace(self, product=product)


_SOMEBODY = Person("somebody", 16778240, "Simulated Speaker", "16778240")


def load_scenario(source: str | pathlib.Path | Scenario) -> Scenario:
    """Return the scenario that ``source`` names."""
    if isinstance(source, Scenario):
        return source
    return Scenario(
        name=str(source),
        product=Product.MEETING,
        media=frozenset(kind for kind in MediaDataType if 0 < kind < MediaDataType.ALL),
        people={},
        steps=(),
        duration=None,
        stop_reason=6,
    )
