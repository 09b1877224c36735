"""Fixtures: certificates, and the watching of connections."""

from __future__ import annotations

import pytest
import trustme
from support.connect_options import dialled, hasty, patient  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_path(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)
