"""TLS certificates for the simulator, by a CA of its own: a good one, and some wrong ones."""

from __future__ import annotations

import datetime
import pathlib
import ssl as stdlib_ssl
import tempfile

from gevent import ssl

from ...errors import ConfigurationError, MissingExtra

try:
    import trustme
except ImportError as error:
    raise MissingExtra("the simulator with TLS", "simulator") from error

__all__ = ["Certificates"]


class Certificates:
    """A fresh authority and a certificate for ``localhost``, loopback and the given hosts."""

    def __init__(self, *hosts: str) -> None:
        self._names = tuple(dict.fromkeys(["localhost", "127.0.0.1", "::1", *hosts]))
        self._authority = trustme.CA()
        # gevent's class, so that the TLS handshake is cooperative without monkey-patching
        self.context = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = stdlib_ssl.TLSVersion.TLSv1_2
        self._makers = {
            "good": self._good,
            "self_signed": self._self_signed,
            "expired": self._expired,
            "other_host": self._other_host,
        }
        self._ready: dict[str, trustme.LeafCert] = {}
        self.present("good")
        self._folder = tempfile.TemporaryDirectory(prefix="rtms-simulator-")
        #: PEM file of the authority, for clients
        self.ca = pathlib.Path(self._folder.name, "ca.pem")
        self._authority.cert_pem.write_to_path(str(self.ca))

    def present(self, kind: str) -> None:
        """Present the certificate of this kind to whoever comes from now on.

        Raises:
            ConfigurationError: there is no such kind.
        """
        if kind not in self._makers:
            kinds = ", ".join(self._makers)
            raise ConfigurationError(f"the kind of certificate must be one of {kinds}: {kind!r}")
        if kind not in self._ready:
            self._ready[kind] = self._makers[kind]()
        self._ready[kind].configure_cert(self.context)

    def _good(self) -> trustme.LeafCert:
        return self._authority.issue_cert(*self._names)

    def _expired(self) -> trustme.LeafCert:
        yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        return self._authority.issue_cert(*self._names, not_after=yesterday)

    def _other_host(self) -> trustme.LeafCert:
        return self._authority.issue_cert("other.example")

    def _self_signed(self) -> trustme.LeafCert:
        """Return an authority's own certificate: it has signed itself."""
        other = trustme.CA()
        return trustme.LeafCert(other.private_key_pem.bytes(), other.cert_pem.bytes(), [])

    def remove(self) -> None:
        """Delete the PEM file."""
        self._folder.cleanup()
