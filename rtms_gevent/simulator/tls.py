"""Certificates for one run: a certificate authority of our own, trusted by nobody else."""

from __future__ import annotations

import pathlib
import ssl as stdlib_ssl
import tempfile

from gevent import ssl

from ..errors import MissingExtra

try:
    import trustme
except ImportError as error:
    raise MissingExtra("the simulator with TLS", "simulator") from error

__all__ = ["Certificates"]


class Certificates:
    """A fresh authority and a certificate for ``localhost``, loopback and the given hosts."""

    def __init__(self, *hosts: str) -> None:
        names = dict.fromkeys(["localhost", "127.0.0.1", "::1", *hosts])
        authority = trustme.CA()
        certificate = authority.issue_cert(*names)
        # gevent's class, so that the TLS handshake is cooperative without monkey-patching
        self.context = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = stdlib_ssl.TLSVersion.TLSv1_2
        certificate.configure_cert(self.context)
        self._folder = tempfile.TemporaryDirectory(prefix="rtms-simulator-")
        #: PEM file of the authority, for clients
        self.ca = pathlib.Path(self._folder.name, "ca.pem")
        authority.cert_pem.write_to_path(str(self.ca))

    def remove(self) -> None:
        """Delete the PEM file."""
        self._folder.cleanup()
