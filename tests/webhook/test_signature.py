"""Webhook signatures: which are right, and what is said of those that are not."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent.webhook import encrypt_token, explain_signature, find_problem, is_authentic, sign
from rtms_gevent.webhook.signature import is_plain_token

SECRET = "a secret token of an app"
BODY = '{"event":"x","name":"Zoë 🎉"}'.encode()
NOW = 1_760_000_000.0


def test_known_value() -> None:
    # Made with: printf 'v0:1760000000:{"event":"x"}' | openssl dgst -sha256 -hmac secret
    assert sign("secret", "1760000000", b'{"event":"x"}') == (
        "v0=b2debfc097da88421b4a5ad5ab141e36e73274f836a2ede21cc2be220db69e60"
    )


STAMP = "1760000000"
RIGHT = sign(SECRET, STAMP, BODY)

CASES = [
    ("right", STAMP, RIGHT, None),
    ("no signature", STAMP, None, "x-zm-signature is missing"),
    ("empty signature", STAMP, "", "x-zm-signature is missing"),
    ("no timestamp", None, RIGHT, "x-zm-request-timestamp is missing"),
    ("empty timestamp", "", RIGHT, "x-zm-request-timestamp is missing"),
    ("words", "soon", RIGHT, "no number"),
    ("negative", "-1760000000", RIGHT, "no number"),
    ("fraction", "1760000000.0", RIGHT, "no number"),
    ("blank", " 1760000000", RIGHT, "no number"),
    ("underscore", "1_760_000_000", RIGHT, "no number"),
    ("other digits", "١٧٦٠٠٠٠٠٠٠", RIGHT, "no number"),
    ("superscript", "176000000²", RIGHT, "no number"),
    ("endless", "9" * 5000, RIGHT, "no number"),
    ("null byte", "1760000000\0", RIGHT, "no number"),
    ("other time", "1760000001", RIGHT, "not right"),
    ("cut", STAMP, RIGHT[:-1], "not right"),
    ("longer", STAMP, RIGHT + "0", "not right"),
    ("upper case", STAMP, RIGHT.upper(), "not right"),
    ("no version", STAMP, RIGHT.removeprefix("v0="), "not right"),
    ("other version", STAMP, RIGHT.replace("v0=", "v1="), "not right"),
    ("two values", STAMP, f"{RIGHT},{RIGHT}", "not right"),
    ("not ASCII", STAMP, "v0=é" + RIGHT[4:], "not right"),
    ("lone surrogate", STAMP, "v0=\ud800", "not right"),
]


@pytest.mark.parametrize(
    ("timestamp", "signature", "problem"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_headers(timestamp: str | None, signature: str | None, problem: str | None) -> None:
    found = find_problem(SECRET, BODY, timestamp, signature, now=NOW)
    assert is_authentic(SECRET, BODY, timestamp, signature, now=NOW) is (problem is None)
    if problem is None:
        assert found is None
    else:
        assert found is not None
        assert problem in found


@pytest.mark.parametrize("secret", ["", " ", "\n"])
def test_with_a_blank_secret_nothing_is_right(secret: str) -> None:
    signature = sign(secret, STAMP, BODY)
    assert not is_authentic(secret, BODY, STAMP, signature, now=NOW)
    problem = find_problem(secret, BODY, STAMP, signature, now=NOW)
    assert problem == "no secret token is set, so that no signature can be right"
    assert explain_signature(secret, BODY, STAMP, signature, now=NOW).problem == problem
    with pytest.raises(ValueError, match="no secret token"):
        encrypt_token(secret, "qgg8vlvZRS6UYooatFL8Aw")


@pytest.mark.parametrize(
    ("now", "tolerance", "good"),
    [
        (NOW + 300, 300.0, True),
        (NOW + 301, 300.0, False),
        (NOW - 300, 300.0, True),
        (NOW - 301, 300.0, False),
        (NOW + 5400, 7200.0, True),
        (NOW + 2, 1.0, False),
    ],
)
def test_freshness(now: float, tolerance: float, good: bool) -> None:
    assert is_authentic(SECRET, BODY, STAMP, RIGHT, now=now, tolerance=tolerance) is good


def test_every_byte_counts() -> None:
    for index in range(len(BODY)):
        changed = bytearray(BODY)
        changed[index] ^= 1
        assert not is_authentic(SECRET, bytes(changed), STAMP, RIGHT, now=NOW)
    assert not is_authentic("another secret", BODY, STAMP, RIGHT, now=NOW)


@given(
    timestamp=st.text(st.characters(), max_size=20),
    signature=st.text(st.characters(), max_size=80),
    body=st.binary(max_size=64),
)
def test_never_raises(timestamp: str, signature: str, body: bytes) -> None:
    assert is_authentic(SECRET, body, timestamp, signature, now=0.0) is False
    assert explain_signature(SECRET, body, timestamp, signature, now=0.0).problem


def test_problem_tells_no_secret() -> None:
    for _, timestamp, signature, _ in CASES:
        found = find_problem(SECRET, BODY, timestamp, signature, now=NOW) or ""
        assert SECRET not in found
        assert RIGHT[3:] not in found


def test_encrypted_token_is_the_hmac_of_the_plain_one() -> None:
    # Made with: printf qgg8vlvZRS6UYooatFL8Aw | openssl dgst -sha256 -hmac secret
    assert encrypt_token("secret", "qgg8vlvZRS6UYooatFL8Aw") == (
        "72cef096bfd47c0b8664df30d07721641e4abd7e885ba432204260db477a9a3e"
    )


@pytest.mark.parametrize(
    "token",
    ["", "v0:1760000000:{}", "a:b", "a" * 257, "a b", "a\n", "é", "{}", None, 7, ["a"], {"a": 1}],
)
def test_other_tokens_are_refused(token: object) -> None:
    assert not is_plain_token(token)
    if isinstance(token, str):
        with pytest.raises(ValueError, match="plain token"):
            encrypt_token(SECRET, token)


def test_report_helps_and_keeps_secrets() -> None:
    report = explain_signature(SECRET, BODY, STAMP, "v0=abcdef0123456789", now=NOW + 7)
    assert report.problem is not None
    assert "not right" in report.problem
    assert report.body_length == len(BODY)
    assert report.secret_length == len(SECRET)
    assert report.secret_ends == "'a '...'pp'"
    assert report.received == "'ab'...'89'"
    assert report.expected == f"'{RIGHT[3:5]}'...'{RIGHT[-2:]}'"
    assert report.seconds_old == 7
    text = str(dataclasses.asdict(report))
    assert SECRET not in text
    assert RIGHT[3:] not in text


def test_report_without_headers() -> None:
    report = explain_signature("short", BODY, None, None, now=NOW)
    assert report.secret_ends == "5 characters"
    assert report.received == "0 characters"
    assert report.seconds_old is None
