"""A scenario as it is played: who is in a meeting, and what happens when."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ...enums import MediaDataType, Product, StopReason
from ...errors import ConfigurationError
from ..wire.negotiation import MEDIA_KEYS
from .assets import Library

__all__ = [
    "FIRST_USER_ID",
    "PRODUCTS",
    "USER_ID_STEP",
    "Person",
    "Scenario",
    "Step",
]

#: Products by the names that scenarios have for them.
PRODUCTS = {product.name.lower(): product for product in Product}

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
        """Return the same scenario in another product.

        Raises:
            ConfigurationError: there is no product of that name.
        """
        if not isinstance(product, Product):
            if product not in PRODUCTS:
                names = ", ".join(PRODUCTS)
                raise ConfigurationError(f"product must be one of {names}, not {product!r}")
            product = PRODUCTS[product]
        return dataclasses.replace(self, product=product)
