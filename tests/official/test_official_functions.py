"""The official package's functions: signatures, certificates, polling."""

from __future__ import annotations

import certifi
import gevent
import pytest

from rtms_gevent import config
from rtms_gevent.config import WebhookSettings, ca_file
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.official.client_names import OfficialNames
from rtms_gevent.official.functions import (
    find_ca_certificate,
    generate_signature,
    initialize,
    uninitialize,
)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("ZM_RTMS_CLIENT", "ZM_RTMS_SECRET", "ZM_RTMS_CA"):
        monkeypatch.delenv(name, raising=False)
    yield
    config.set_default_ca(None)


@pytest.fixture
def other_ca(tmp_path):
    path = tmp_path / "other.pem"
    with open(certifi.where()) as file:
        path.write_text(file.read())
    return str(path)


def test_a_signature():
    # printf 'app,uuid==,stream' | openssl dgst -sha256 -hmac key
    expected = "244e2c16e72a9b58b11dad5286acdc1a178f57058666d92ff74e3b7d88f8a57b"
    assert generate_signature("app", "key", "uuid==", "stream") == expected


def test_explicit_credentials_win(monkeypatch):
    explicit = generate_signature("app", "key", "uuid", "stream")
    monkeypatch.setenv("ZM_RTMS_CLIENT", "other app")
    monkeypatch.setenv("ZM_RTMS_SECRET", "other key")
    assert generate_signature("app", "key", "uuid", "stream") == explicit
    from_environment = generate_signature(None, "", "uuid", "stream")
    assert from_environment == generate_signature("other app", "other key", "uuid", "stream")


def test_a_signature_needs_credentials():
    with pytest.raises(ConfigurationError, match="ZM_RTMS_CLIENT"):
        generate_signature("", "key", "uuid", "stream")
    with pytest.raises(ConfigurationError, match="ZM_RTMS_SECRET"):
        generate_signature("app", " \n", "uuid", "stream")


def test_the_ca_file_of_later_joins(monkeypatch, other_ca, tmp_path):
    assert ca_file() is None
    assert find_ca_certificate() == certifi.where()
    monkeypatch.setenv("ZM_RTMS_CA", certifi.where())
    assert initialize(other_ca) is True
    assert ca_file() == find_ca_certificate() == other_ca
    assert ca_file("given") == "given"
    assert find_ca_certificate(certifi.where()) == certifi.where()
    assert uninitialize() is True
    assert ca_file() == certifi.where()


def test_initialize_without_a_path_checks_what_joins_would_trust(monkeypatch, tmp_path):
    assert initialize() is True
    assert ca_file() is None
    monkeypatch.setenv("ZM_RTMS_CA", str(tmp_path / "missing.pem"))
    with pytest.raises(ConfigurationError, match=r"missing\.pem"):
        initialize()


@pytest.mark.parametrize("content", [None, "no certificate\n"])
def test_a_ca_file_that_is_none_is_refused_at_once(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        initialize(str(path))
    assert ca_file() is None


def test_a_ca_file_that_is_missing_is_not_replaced_by_others(tmp_path):
    with pytest.raises(ConfigurationError, match=r"missing\.pem"):
        find_ca_certificate(str(tmp_path / "missing.pem"))


@pytest.mark.parametrize(
    ("value", "expected"), [("", False), ("true", True), ("1", True), ("off", False)]
)
def test_explaining_signatures_is_turned_on_by_name(value, expected):
    secret = {"ZM_RTMS_WEBHOOK_SECRET": "w"}
    found = WebhookSettings.from_environment({**secret, "ZM_RTMS_DEBUG_SIGNATURES": value})
    assert found.debug_signatures is expected
    assert WebhookSettings.from_environment(secret).debug_signatures is False


def test_explaining_signatures_is_yes_or_no():
    with pytest.raises(ConfigurationError, match="ZM_RTMS_DEBUG_SIGNATURES must be true or false"):
        WebhookSettings.from_environment({"ZM_RTMS_DEBUG_SIGNATURES": "sure"})


def test_flask_reads_it_from_the_config():
    flask = pytest.importorskip("flask")
    from rtms_gevent.flask import RTMS

    app = flask.Flask("app")
    app.config.update(RTMS_WEBHOOK_SECRET="secret", RTMS_DEBUG_SIGNATURES="yes")
    with pytest.raises(ConfigurationError, match="RTMS_DEBUG_SIGNATURES: .* must be True or False"):
        RTMS(app)


def test_polling_lets_streams_live():
    ran = []
    greenlet = gevent.spawn(ran.append, 1)
    OfficialNames().poll()
    assert ran == [1]
    greenlet.join()
