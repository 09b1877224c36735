"""Settings: defaults, the environment, and which values are refused."""

import dataclasses
import os

import pytest

from rtms_gevent._environment import webhook_port
from rtms_gevent.config import (
    ClusterSettings,
    Credentials,
    Limits,
    Proxies,
    Timeouts,
    WebhookSettings,
    allowed_hosts,
    ca_file,
)
from rtms_gevent.errors import ConfigurationError

BOTH = {"ZM_RTMS_CLIENT": "env-client", "ZM_RTMS_SECRET": "env-secret"}


@pytest.mark.parametrize(
    ("client", "secret", "environ", "expected"),
    [
        ("c", "s", {}, ("c", "s")),
        (None, None, BOTH, ("env-client", "env-secret")),
        ("c", "s", BOTH, ("c", "s")),
        ("c", None, BOTH, ("c", "env-secret")),
        (None, "s", BOTH, ("env-client", "s")),
        ("", "", BOTH, ("env-client", "env-secret")),
        (" ", "\n", BOTH, ("env-client", "env-secret")),
    ],
)
def test_what_is_explicit_wins(client, secret, environ, expected):
    found = Credentials.resolve(client, secret, environ)
    assert (found.client_id, found.client_secret) == expected


@pytest.mark.parametrize(
    ("client", "secret", "environ", "problem"),
    [
        (None, None, {}, "no client given: pass client=... or set the .* variable ZM_RTMS_CLIENT"),
        ("c", None, {}, "no secret given: pass secret=... or set the .* variable ZM_RTMS_SECRET"),
        (None, None, {**BOTH, "ZM_RTMS_SECRET": ""}, "no secret given"),
        (None, None, {**BOTH, "ZM_RTMS_SECRET": " \t"}, "no secret given"),
        (None, None, {**BOTH, "ZM_RTMS_CLIENT": " "}, "no client given"),
        ("c", " ", {}, "no secret given"),
        ("\n", "s", {}, "no client given"),
        (7, "s", {}, "client must be a string, not int"),
        ("c", b"s", {}, "secret must be a string, not bytes"),
    ],
)
def test_missing_credentials(client, secret, environ, problem):
    with pytest.raises(ConfigurationError, match=problem):
        Credentials.resolve(client, secret, environ)


def test_the_process_environment_is_read_when_needed(monkeypatch):
    for name, value in {**BOTH, "ZM_RTMS_ALLOWED_HOSTS": "h", "ZM_RTMS_CA": "/ca"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ZM_RTMS_WEBHOOK_SECRET", "w")
    assert Credentials.resolve().client_id == "env-client"
    assert allowed_hosts()[-1] == "h"
    assert ca_file() == "/ca"
    assert WebhookSettings.from_environment().secret == "w"


@pytest.mark.parametrize(
    "value",
    [
        Credentials("id", "hunter2"),
        WebhookSettings(secret="hunter2"),
        Proxies.resolve("http://me:hunter2@proxy:1"),
    ],
)
def test_secrets_have_no_repr(value):
    assert "hunter2" not in repr(value)
    assert "hunter2" not in str(value)


@pytest.mark.parametrize(
    "value", [Credentials("id", "s"), Timeouts(), Limits(), WebhookSettings(secret="w")]
)
def test_settings_are_frozen_values(value):
    assert value == dataclasses.replace(value)
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)


def test_timeouts_and_limits():
    assert Timeouts() == Timeouts(
        join=60,
        connect=10,
        handshake=10,
        close=2,
        signaling_silence=65,
        media_silence=65,
    )
    assert Limits() == Limits(
        message_size=32 * 2**20, document_size=2**20, nesting=32, http_headers=16 * 2**10
    )
    for kind in (Timeouts, Limits, WebhookSettings):
        with pytest.raises(TypeError):
            kind(1)


@pytest.mark.parametrize(
    ("given", "environ", "more"),
    [
        (None, {}, ()),
        (None, {"ZM_RTMS_ALLOWED_HOSTS": ""}, ()),
        (None, {"ZM_RTMS_ALLOWED_HOSTS": "127.0.0.1,localhost"}, ("127.0.0.1", "localhost")),
        ("A.example.COM , ,b", {}, ("a.example.com", "b")),
        (["a", " B "], {}, ("a", "b")),
        (("a",), {"ZM_RTMS_ALLOWED_HOSTS": "ignored"}, ("a",)),
        ("", {"ZM_RTMS_ALLOWED_HOSTS": "ignored"}, ()),
        ((), {"ZM_RTMS_ALLOWED_HOSTS": "ignored"}, ()),
    ],
)
def test_allowed_hosts(given, environ, more):
    assert allowed_hosts(given, environ) == ("zoom.us", "zoomgov.com", *more)


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        (None, {}, None),
        (None, {"ZM_RTMS_CA": ""}, None),
        (None, {"ZM_RTMS_CA": "/env.pem"}, "/env.pem"),
        ("/mine.pem", {"ZM_RTMS_CA": "/env.pem"}, "/mine.pem"),
        ("", {"ZM_RTMS_CA": "/env.pem"}, "/env.pem"),
    ],
)
def test_ca_file(given, environ, expected):
    assert ca_file(given, environ) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"ZM_RTMS_WEBHOOK_SECRET": "w"}, WebhookSettings(secret="w")),
        (
            {
                "ZM_RTMS_WEBHOOK_SECRET": "w",
                "ZM_RTMS_PORT": "9000",
                "ZM_RTMS_PATH": "/zoom",
            },
            WebhookSettings(secret="w", port=9000, path="/zoom"),
        ),
        (
            {"ZM_RTMS_WEBHOOK_SECRET": "w", "ZM_RTMS_PORT": "", "ZM_RTMS_PATH": ""},
            WebhookSettings(secret="w", port=8080, path="/rtms/webhook"),
        ),
        ({"ZM_RTMS_WEBHOOK_VERIFY": "false"}, WebhookSettings(verify=False)),
        (
            {"ZM_RTMS_WEBHOOK_VERIFY": "off", "ZM_RTMS_WEBHOOK_SECRET": " "},
            WebhookSettings(secret=None, verify=False),
        ),
        (
            {"ZM_RTMS_WEBHOOK_VERIFY": "", "ZM_RTMS_WEBHOOK_SECRET": "w"},
            WebhookSettings(secret="w", verify=True),
        ),
    ],
)
def test_webhook_settings_from_the_environment(environ, expected):
    assert WebhookSettings.from_environment(environ) == expected


SIGNED = {"ZM_RTMS_WEBHOOK_SECRET": "w"}


def test_the_path_where_none_is_set():
    assert WebhookSettings.from_environment(SIGNED, path="/mine").path == "/mine"
    environ = {**SIGNED, "ZM_RTMS_PATH": "/e"}
    assert WebhookSettings.from_environment(environ, path="/mine").path == "/e"


def test_what_is_explicit_wins_over_the_environment():
    found = WebhookSettings.from_environment(SIGNED, secret="mine")
    assert (found.secret, found.verify) == ("mine", True)
    assert not WebhookSettings.from_environment({}, verify=False).verify
    environ = {**SIGNED, "ZM_RTMS_WEBHOOK_VERIFY": "false"}
    assert WebhookSettings.from_environment(environ, verify=True).verify


@pytest.mark.parametrize("environ", [{}, {"ZM_RTMS_WEBHOOK_SECRET": ""}, SIGNED])
def test_the_port_needs_no_secret(environ):
    assert webhook_port(environ) == 8080
    assert webhook_port({**environ, "ZM_RTMS_PORT": "0"}) == 0
    assert webhook_port({**environ, "ZM_RTMS_PORT": "65535"}) == 65535


@pytest.mark.parametrize("port", ["65536", "-1", "http", "80.0", " 80", "\u0668\u0660", "1" * 5000])
def test_bad_port(port):
    with pytest.raises(ConfigurationError, match="ZM_RTMS_PORT must be a number") as caught:
        WebhookSettings.from_environment({**SIGNED, "ZM_RTMS_PORT": port})
    assert len(str(caught.value)) < 150


BLANK = ["", " ", "\n", "\t \u00a0\u2003"]


@pytest.mark.parametrize("secret", [None, *BLANK])
def test_without_a_secret_it_must_be_said_that_nothing_is_checked(secret):
    with pytest.raises(ConfigurationError, match="set .* ZM_RTMS_WEBHOOK_SECRET .*verify=False"):
        WebhookSettings(secret=secret)
    with pytest.raises(ConfigurationError, match="no webhook secret"):
        dataclasses.replace(WebhookSettings(secret="w"), secret=secret)
    assert WebhookSettings(secret=secret, verify=False).secret is None


@pytest.mark.parametrize(
    "environ",
    [
        {},
        *({"ZM_RTMS_WEBHOOK_SECRET": blank} for blank in BLANK),
        {"ZM_RTMS_WEBHOOK_VERIFY": "true"},
    ],
)
def test_an_environment_without_a_secret(environ):
    with pytest.raises(ConfigurationError, match="no webhook secret"):
        WebhookSettings.from_environment(environ)
    with pytest.raises(ConfigurationError, match="no webhook secret"):
        WebhookSettings.from_environment({**SIGNED, **environ}, secret=" ")


@pytest.mark.parametrize("verify", [None, 0, "", "false", "no", []])
def test_only_false_says_that_nothing_is_checked(verify):
    with pytest.raises(ConfigurationError, match="verify must be True or False"):
        WebhookSettings(secret="w", verify=verify)


def test_a_switch_of_the_environment_is_true_or_false():
    with pytest.raises(ConfigurationError, match="ZM_RTMS_WEBHOOK_VERIFY must be true or false"):
        WebhookSettings.from_environment({**SIGNED, "ZM_RTMS_WEBHOOK_VERIFY": "maybe"})


@pytest.mark.parametrize("secret", [b"w", 7, ["w"]])
def test_a_webhook_secret_is_text(secret):
    with pytest.raises(ConfigurationError, match="must be a string, not"):
        WebhookSettings(secret=secret)


@pytest.mark.parametrize("wrong", ["ws://127.0.0.1", "a/b", "user@host", "two names"])
def test_an_allowed_host_is_a_name(wrong):
    with pytest.raises(ConfigurationError, match="names of hosts"):
        allowed_hosts(wrong)


URL = "http://proxy:3128"
OTHER = "http://other:3128"


@pytest.fixture
def no_proxies(monkeypatch):
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("given", "environ", "host", "secure", "expected"),
    [
        # nothing is said: what others read from the environment does not count
        (None, {}, "zoom.us", True, None),
        (None, {"HTTPS_PROXY": URL, "ALL_PROXY": URL}, "zoom.us", True, None),
        (None, {"ZM_RTMS_PROXY": ""}, "zoom.us", True, None),
        # a proxy's address
        (None, {"ZM_RTMS_PROXY": URL}, "zoom.us", True, URL),
        (None, {"ZM_RTMS_PROXY": URL}, "zoom.us", False, URL),
        (None, {"ZM_RTMS_PROXY": URL, "HTTPS_PROXY": OTHER}, "zoom.us", True, URL),
        (None, {"ZM_RTMS_PROXY": URL, "NO_PROXY": "*"}, "zoom.us", True, URL),
        (URL, {"ZM_RTMS_PROXY": OTHER}, "zoom.us", True, URL),
        (URL, {"ZM_RTMS_PROXY": "env", "HTTPS_PROXY": OTHER}, "zoom.us", True, URL),
        # the environment's
        ("env", {"HTTPS_PROXY": URL}, "zoom.us", True, URL),
        (None, {"ZM_RTMS_PROXY": "env", "HTTPS_PROXY": URL}, "zoom.us", True, URL),
        (None, {"ZM_RTMS_PROXY": " ENV ", "https_proxy": URL}, "zoom.us", True, URL),
        ("env", {"ZM_RTMS_PROXY": OTHER, "HTTPS_PROXY": URL}, "zoom.us", True, URL),
        ("env", {"https_proxy": URL, "HTTPS_PROXY": OTHER}, "zoom.us", True, URL),
        ("env", {"ALL_PROXY": URL}, "zoom.us", True, URL),
        ("env", {"ALL_PROXY": URL}, "zoom.us", False, URL),
        ("env", {"HTTPS_PROXY": URL, "ALL_PROXY": OTHER}, "zoom.us", True, URL),
        ("env", {"HTTPS_PROXY": URL}, "zoom.us", False, None),
        ("env", {"HTTP_PROXY": URL}, "zoom.us", False, URL),
        ("env", {"HTTP_PROXY": URL}, "zoom.us", True, None),
        ("env", {"HTTPS_PROXY": ""}, "zoom.us", True, None),
        ("env", {}, "zoom.us", True, None),
        # hosts that need none
        ("env", {"HTTPS_PROXY": URL, "NO_PROXY": "zoom.us"}, "zoom.us", True, None),
        ("env", {"HTTPS_PROXY": URL, "NO_PROXY": "zoom.us"}, "a.zoom.us", True, None),
        ("env", {"HTTPS_PROXY": URL, "no_proxy": "x, .zoom.us"}, "a.zoom.us", True, None),
        ("env", {"HTTPS_PROXY": URL, "NO_PROXY": "zoom.us:443"}, "zoom.us", True, None),
        ("env", {"HTTPS_PROXY": URL, "NO_PROXY": "zoom.us:444"}, "zoom.us", True, URL),
        ("env", {"HTTPS_PROXY": URL, "NO_PROXY": "oom.us"}, "zoom.us", True, URL),
        ("env", {"HTTPS_PROXY": URL, "NO_PROXY": "*"}, "zoom.us", True, None),
        ("env", {"HTTPS_PROXY": URL, "NO_PROXY": "fe80::1"}, "fe80::1", True, None),
        # this machine, as in Go; but for a proxy that the program names
        ("env", {"HTTPS_PROXY": URL}, "localhost", True, None),
        ("env", {"HTTPS_PROXY": URL}, "127.0.0.1", True, None),
        ("env", {"HTTPS_PROXY": URL}, "::1", True, None),
        (None, {"ZM_RTMS_PROXY": URL}, "127.0.0.1", False, None),
        (URL, {}, "127.0.0.1", True, URL),
    ],
)
@pytest.mark.usefixtures("no_proxies")
def test_proxies(given, environ, host, secure, expected, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert Proxies.resolve(given).url_for(host, 443, secure=secure) == expected


@pytest.mark.usefixtures("no_proxies")
def test_a_request_to_a_cgi_script_names_no_proxy(monkeypatch):
    """HTTP_PROXY is what its header "Proxy" becomes there."""
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.setenv("HTTP_PROXY", "http://evil:1")
    assert Proxies.resolve("env").url_for("zoom.us", 80, secure=False) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("port", value) for value in (-1, 65536, "80", True, 8.0, None)),
        *(("path", value) for value in ("", "zoom", b"/zoom", None)),
        *(("tolerance", value) for value in (0, -1.5, float("nan"), "300", True, None)),
        *(("max_body", value) for value in (0, -1, 1.5, "9", True, None)),
        *((name, 1) for name in ("verify", "debug_signatures")),
    ],
)
def test_webhook_settings_that_are_not_allowed(name, value):
    with pytest.raises(ConfigurationError, match=rf"^{name} must be"):
        WebhookSettings(**{"secret": "w", name: value})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ("auto", None, "rtms")),
        ({"ZM_RTMS_STORE": "local", "ZM_RTMS_MAX_STREAMS": "0"}, ("local", 0, "rtms")),
        ({"RTMS_STORE": "memory", "RTMS_MAX_STREAMS": " 7"}, None),
        ({"RTMS_STORE": "memory", "RTMS_MAX_STREAMS": "7"}, ("memory", 7, "rtms")),
        ({"RTMS_STORE": "memory", "ZM_RTMS_STORE": "redis://h"}, ("redis://h", None, "rtms")),
        ({"ZM_RTMS_CLIENT": "abc", "RTMS_MAX_STREAMS": ""}, ("auto", None, "rtms-abc")),
    ],
)
def test_the_cluster_of_the_environment(environ, expected):
    if expected is None:
        with pytest.raises(ConfigurationError, match=r"^RTMS_MAX_STREAMS must be a number"):
            ClusterSettings.from_environment(environ)
        return
    found = ClusterSettings.from_environment(environ)
    assert (found.store, found.max_streams, found.namespace) == expected


def test_what_an_app_says_of_its_cluster_wins():
    environ = {"ZM_RTMS_STORE": "local", "ZM_RTMS_MAX_STREAMS": "1", "ZM_RTMS_CLIENT": "other"}
    found = ClusterSettings.from_environment(
        environ, store="memory", limit=2, name="video", client_id="mine"
    )
    assert found == ClusterSettings(store="memory", max_streams=2, namespace="video-mine")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("store", value) for value in ("", "Redis", "redis:h", "ftp://h", 1, None)),
        *(("max_streams", value) for value in (-1, 1.5, "3", True)),
        *(("namespace", value) for value in ("", None, 3)),
        *(("lease", value) for value in (0, 0.5, "8", True, None)),
    ],
)
def test_cluster_settings_that_are_not_allowed(name, value):
    with pytest.raises(ConfigurationError):
        ClusterSettings(**{name: value})


def test_a_password_of_a_store_is_not_shown():
    settings = ClusterSettings(store="redis://user:geheim@host")
    assert "geheim" not in repr(settings)
    with pytest.raises(ConfigurationError) as caught:
        ClusterSettings(store="http://user:geheim@host")
    assert "geheim" not in str(caught.value)
