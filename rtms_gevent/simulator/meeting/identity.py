"""The ids of a stream and of its meeting."""

from __future__ import annotations

import base64
import dataclasses
import secrets
import uuid

from ...enums import Product

__all__ = ["Identity"]


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """What names one stream of a meeting (webinar, session, engagement, call)."""

    product: Product
    uuid: str
    meeting_id: str  #: the meeting's (webinar's) number, as people know it
    stream_id: str
    session_id: str
    operator_id: str

    @classmethod
    def new(cls, product: Product, same_as: Identity | None = None) -> Identity:
        """Return ids for a new stream, of the same meeting as another stream if one is given."""
        return cls(
            product,
            base64.b64encode(uuid.uuid4().bytes).decode() if same_as is None else same_as.uuid,
            str(secrets.randbelow(9 * 10**10) + 10**10) if same_as is None else same_as.meeting_id,
            stream_id=secrets.token_hex(16),
            session_id=str(uuid.uuid4()),
            operator_id=secrets.token_urlsafe(12),
        )

    @property
    def fields(self) -> dict[str, str]:
        """What names the stream in every webhook."""
        return {self.product.value: self.uuid, "rtms_stream_id": self.stream_id}
