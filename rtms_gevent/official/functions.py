"""Functions that the official SDK has beside ours.

Source of the names: the official Python package ``rtms`` 1.1.0.
"""

from __future__ import annotations

from pathlib import Path

import certifi

from ..config import Credentials, ca_file, set_default_ca
from ..errors import ConfigurationError
from ..protocol.identity import handshake_signature
from ..transport.connect import tls_context

__all__ = ["find_ca_certificate", "generate_signature", "initialize", "uninitialize"]


def generate_signature(
    client: str | None, secret: str | None, uuid: str, rtms_stream_id: str
) -> str:
    """Return the handshake signature of a stream, as hex; ``join()`` makes it by itself.

    Args:
        client: Client id of the app; ``ZM_RTMS_CLIENT`` where it is empty.
        secret: Client secret of the app; ``ZM_RTMS_SECRET`` where it is empty.
        uuid: Id of the meeting, webinar, session, engagement or call.
        rtms_stream_id: Id of the stream.

    Raises:
        ConfigurationError: client or secret is given nowhere.
    """
    credentials = Credentials.resolve(client, secret)
    return handshake_signature(
        credentials.client_id, credentials.client_secret, uuid, rtms_stream_id
    )


def find_ca_certificate(specified_path: str | None = None) -> str:
    """Return the CA file that a join would trust.

    That is ``specified_path``, else what :func:`initialize` has set, else ``ZM_RTMS_CA``, else
    certifi's.

    Raises:
        ConfigurationError: that file does not exist. Trusting others in its place would be worse.
    """
    path = ca_file(specified_path) or certifi.where()
    if not Path(path).is_file():
        raise ConfigurationError(f"the CA file {path!r} does not exist; check ca= and ZM_RTMS_CA")
    return path


def initialize(ca_path: str | None = None) -> bool:
    """Set the CA file of later joins that name none. Nothing else needs to be initialized.

    Args:
        ca_path: File (PEM) with certificates to trust. Without it nothing is set, but the file
            that joins would trust is checked.

    Returns:
        True.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """
    tls_context(ca_path or ca_file())
    if ca_path:
        set_default_ca(ca_path)
    return True


def uninitialize() -> bool:
    """Take back what :func:`initialize` has set; streams that run are left alone.

    Returns:
        True.
    """
    set_default_ca(None)
    return True
