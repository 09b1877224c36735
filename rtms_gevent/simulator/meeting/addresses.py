"""Where a stream's servers are, and which of them have failed."""

from __future__ import annotations

from collections.abc import Iterable

from ...enums import MediaDataType, Product
from ..wire.negotiation import MEDIA_KEYS

__all__ = ["ServerAddresses"]


class ServerAddresses:
    """The addresses of one stream, which a failover changes."""

    def __init__(
        self, base_url: str, key: str, product: Product, offered: Iterable[MediaDataType]
    ) -> None:
        """Make the first addresses.

        Args:
            base_url: of the server.
            key: names the meeting in its URLs.
            product: Contact Center names fewer addresses.
            offered: media types that have an address.
        """
        self._base_url = base_url
        named = frozenset(offered)
        if product is Product.CONTACT_CENTER:
            named &= {MediaDataType.AUDIO}  # as in its event reference; "all" serves the rest, too
        self._roles = (*(MEDIA_KEYS[kind] for kind in sorted(named)), "all")
        #: name the meeting in its URLs; clients get those with the latest
        self.keys = [key]
        #: where signaling sockets are opened
        self.server_urls = f"{base_url}/signaling"
        #: where media sockets are opened, by media type, and "all"
        self.media_urls = self._make_media_urls()
        self._dead: set[str] = set()

    def _make_media_urls(self) -> dict[str, str]:
        return {role: f"{self._base_url}/media/{role}/{self.keys[-1]}" for role in self._roles}

    def move(self, *, dies: bool) -> None:
        """Go to new addresses.

        Args:
            dies: the servers at the old ones have failed.
        """
        moves = len(self.keys)
        if dies:
            self._dead.update(self.keys)
            self._dead.add("")  # where every signaling socket is opened at first
        self.keys.append(f"{self.keys[0]}m{moves}")
        self.server_urls = f"{self._base_url}/signaling/{self.keys[-1]}"
        self.media_urls = self._make_media_urls()

    def is_dead(self, address: str) -> bool:
        """Whether a server of this address has failed."""
        return address in self._dead
