"""Webhook signatures: who sent this body, and when. Pure functions; hostile input never raises.

Zoom signs the raw bytes of the body together with a time, and sends both in headers. The bytes
must be checked as they came: JSON that was parsed and written again has other bytes.

Source: https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
from typing import TypeGuard

__all__ = [
    "SIGNATURE_HEADER",
    "TIMESTAMP_HEADER",
    "SignatureReport",
    "encrypt_token",
    "explain_signature",
    "find_problem",
    "is_authentic",
    "is_plain_token",
    "sign",
]

SIGNATURE_HEADER = "x-zm-signature"
TIMESTAMP_HEADER = "x-zm-request-timestamp"

#: What Zoom's url validation sends is about 22 characters of base64 text. A colon is not among the
#: characters, and must never be: see :func:`encrypt_token`.
_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9+/=_.~-]{1,256}")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the webhook signature of ``body``: what Zoom sends in ``x-zm-signature``.

    Args:
        secret: The secret token of the app.
        timestamp: Seconds since the epoch, as text, as in ``x-zm-request-timestamp``.
        body: The raw bytes of the request's body.
    """
    message = b"v0:" + timestamp.encode("utf-8", "surrogatepass") + b":" + body
    return "v0=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def find_problem(
    secret: str,
    body: bytes,
    timestamp: str | None,
    signature: str | None,
    *,
    now: float,
    tolerance: float = 300.0,
) -> str | None:
    """Say why the webhook signature is not to be trusted; ``None`` where it is.

    Never raises, whatever the headers hold. The text is fit for a log: it holds no part of the
    secret, the signature or the body.

    Args:
        secret: The secret token of the app. With a blank one, which anybody could sign with,
            nothing is to be trusted.
        body: The raw bytes of the request's body.
        timestamp: The header ``x-zm-request-timestamp``, seconds since the epoch.
        signature: The header ``x-zm-signature``.
        now: Seconds since the epoch.
        tolerance: Seconds that ``timestamp`` may differ from ``now``, to either side.
    """
    if not secret.strip():
        return "no secret token is set, so that no signature can be right"
    if not signature or not timestamp:
        missing = TIMESTAMP_HEADER if signature else SIGNATURE_HEADER
        return f"the header {missing} is missing"
    if not _is_seconds(timestamp):
        return f"the header {TIMESTAMP_HEADER} is no number of seconds"
    expected = sign(secret, timestamp, body)
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass")):
        return "the signature is not right: check that the secret token is the one of this app"
    difference = now - int(timestamp)
    if abs(difference) > tolerance:
        return (
            f"the signature is {difference:.0f} s old, and {tolerance:g} s are allowed: it is a "
            "replay, or this machine's clock is wrong"
        )
    return None


def is_authentic(
    secret: str,
    body: bytes,
    timestamp: str | None,
    signature: str | None,
    *,
    now: float,
    tolerance: float = 300.0,
) -> bool:
    """Return whether Zoom signed ``body`` within ``tolerance`` seconds of ``now``. Never raises.

    The arguments are those of :func:`find_problem`.
    """
    problem = find_problem(secret, body, timestamp, signature, now=now, tolerance=tolerance)
    return problem is None


def is_plain_token(token: object) -> TypeGuard[str]:
    """Return whether ``token`` has the shape of the ``plainToken`` in Zoom's url validation."""
    return isinstance(token, str) and _PLAIN_TOKEN.fullmatch(token) is not None


def encrypt_token(secret: str, plain_token: str) -> str:
    """Return the ``encryptedToken`` that answers Zoom's url validation.

    This is an HMAC with the very key that signs webhooks. Whoever could have any text encrypted
    could send ``v0:<time>:<body>`` and would get a valid signature for a body of their own; so
    only tokens that pass :func:`is_plain_token`, and thus hold no colon, are taken.

    Raises:
        ValueError: the token has not the shape that Zoom sends, or the secret is blank.
    """
    if not secret.strip():
        raise ValueError("no secret token is set")
    if not is_plain_token(plain_token):
        raise ValueError("not a plain token as Zoom sends it")
    return hmac.new(secret.encode(), plain_token.encode(), hashlib.sha256).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True)
class SignatureReport:
    """What helps to find out why signatures do not match, with nothing that must stay secret."""

    problem: str | None  #: as :func:`find_problem` says it; None where the signature is right
    body_length: int  #: bytes
    secret_length: int  #: characters
    secret_ends: str  #: first and last two characters; only the length where it is short
    received: str  #: first and last two characters after ``v0=``
    expected: str  #: first and last two characters after ``v0=``
    seconds_old: int | None  #: now minus the header; None where the header is no number


def explain_signature(
    secret: str,
    body: bytes,
    timestamp: str | None,
    signature: str | None,
    *,
    now: float,
    tolerance: float = 300.0,
) -> SignatureReport:
    """Compare a webhook signature with the right one, for a person who looks for the fault.

    For use by hand, and for the log where ``WebhookSettings.debug_signatures`` is on. The
    arguments are those of :func:`find_problem`.
    """
    numeric = timestamp is not None and _is_seconds(timestamp)
    return SignatureReport(
        problem=find_problem(secret, body, timestamp, signature, now=now, tolerance=tolerance),
        body_length=len(body),
        secret_length=len(secret),
        secret_ends=_ends(secret),
        received=_ends((signature or "").removeprefix("v0=")),
        expected=_ends(sign(secret, timestamp or "", body).removeprefix("v0=")),
        seconds_old=int(now) - int(timestamp) if timestamp and numeric else None,
    )


def _is_seconds(timestamp: str) -> bool:
    """Return whether a header is a plain number; ``int()`` also takes other digits and signs."""
    return timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12


def _ends(text: str) -> str:
    """Return the first and last two characters of a text that is long enough to keep the rest."""
    return f"{text[:2]!a}...{text[-2:]!a}" if len(text) >= 12 else f"{len(text)} characters"
