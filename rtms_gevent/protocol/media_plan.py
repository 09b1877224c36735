"""Which media connections a stream needs, where they lead, and what is asked for on each. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..enums import MediaDataType
from .params import media_params
from .subscription import Subscription
from .urls import Endpoint

__all__ = ["MediaPlan"]

_Params = dict[str, dict[str, int | bool]]


class MediaPlan:
    """Between what is wanted, what the server offers, and what it was asked for.

    A connection is named by its key: a media type, or ``ALL`` for the unified one.
    """

    def __init__(self, subscription: Subscription, *, is_unified: bool) -> None:
        """Make a plan.

        Args:
            subscription: What is wanted; it may change.
            is_unified: Whether one connection carries all media.
        """
        self._subscription = subscription
        self._is_unified = is_unified
        #: Where the server takes connections, as it said last.
        self.offered: Mapping[MediaDataType, tuple[Endpoint, ...]] = {}
        self._asked: dict[MediaDataType, _Params] = {}

    def keys_for(self, wanted: Sequence[MediaDataType]) -> Sequence[MediaDataType]:
        """Return the connections that carry these media types."""
        return (MediaDataType.ALL,) if self._is_unified and wanted else wanted

    def endpoints_for(self, key: MediaDataType) -> tuple[Endpoint, ...]:
        """Return where a connection may be opened; nowhere, if it is not offered."""
        # Some servers name one address for everything.
        return self.offered.get(key) or self.offered.get(MediaDataType.ALL) or ()

    def kinds_on(self, keys: Collection[MediaDataType] | None) -> list[MediaDataType]:
        """Return the wanted media types that these connections carry; ``None`` means all."""
        everything = keys is None or MediaDataType.ALL in keys
        return [kind for kind in self._subscription.media if everything or kind in (keys or ())]

    def params_for(self, key: MediaDataType) -> _Params:
        """Return what to ask for on a connection as things are now."""
        kinds = self._subscription.media if key is MediaDataType.ALL else (key,)
        chosen = {kind: self._subscription.params_for(kind) for kind in kinds}
        return media_params({params.key: params for params in chosen.values() if params})

    def ask(self, key: MediaDataType) -> _Params:
        """Return what to ask for on a connection, and remember it for :meth:`outdated`."""
        asked = self._asked[key] = self.params_for(key)
        return asked

    def outdated(self, keys: Iterable[MediaDataType]) -> list[MediaDataType]:
        """Return the connections on which something else was asked for than is wanted now."""
        return [key for key in keys if self._asked.get(key) != self.params_for(key)]
