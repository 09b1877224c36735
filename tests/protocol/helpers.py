"""Short ways to decode literal documents."""

from __future__ import annotations

import json
from typing import Any

from rtms_gevent.enums import Product
from rtms_gevent.protocol.codec import JsonCodec


def decode(document: Any, product: Product = Product.MEETING) -> Any:
    """Decode a document, or JSON text as it stands."""
    text = document if isinstance(document, str) else json.dumps(document)
    return JsonCodec(product).decode(text.encode())


def encode(message: Any, product: Product = Product.MEETING) -> dict[str, Any]:
    """Return the document that a message is sent as, after a trip through JSON text."""
    document: dict[str, Any] = json.loads(JsonCodec(product).encode(message))
    return document
