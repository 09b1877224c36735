from __future__ import annotations

import pytest

from rtms_gevent.enums import MediaDataType
from rtms_gevent.protocol.media_plan import MediaPlan
from rtms_gevent.protocol.params import AudioParams
from rtms_gevent.protocol.subscription import Subscription
from rtms_gevent.protocol.urls import parse_server_urls

AUDIO, VIDEO, CHAT, ALL = (
    MediaDataType.AUDIO,
    MediaDataType.VIDEO,
    MediaDataType.CHAT,
    MediaDataType.ALL,
)
HERE, THERE = (parse_server_urls(f"ws://{name}/", (name,)) for name in ("here", "there"))


@pytest.fixture
def subscription():
    made = Subscription()
    made.enable(AUDIO, True)
    made.enable(CHAT, True)
    return made


@pytest.mark.parametrize(
    ("is_unified", "wanted", "expected"),
    [
        (False, (AUDIO, CHAT), (AUDIO, CHAT)),
        (False, (), ()),
        (True, (AUDIO, CHAT), (ALL,)),
        (True, (), ()),
    ],
)
def test_connections_for_media(is_unified, wanted, expected, subscription):
    assert tuple(MediaPlan(subscription, is_unified=is_unified).keys_for(wanted)) == expected


@pytest.mark.parametrize(
    ("offered", "key", "expected"),
    [
        ({}, AUDIO, ()),
        ({AUDIO: HERE}, AUDIO, HERE),
        ({AUDIO: HERE}, CHAT, ()),
        ({ALL: HERE}, CHAT, HERE),
        ({AUDIO: HERE, ALL: THERE}, AUDIO, HERE),
        ({AUDIO: (), ALL: THERE}, AUDIO, THERE),
        ({AUDIO: HERE, ALL: THERE}, ALL, THERE),
    ],
)
def test_endpoints(offered, key, expected, subscription):
    plan = MediaPlan(subscription, is_unified=False)
    plan.offered = offered
    assert plan.endpoints_for(key) == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [(None, [AUDIO, CHAT]), ((ALL,), [AUDIO, CHAT]), ((AUDIO,), [AUDIO]), ((VIDEO,), []), ((), [])],
)
def test_kinds_on_connections(keys, expected, subscription):
    assert MediaPlan(subscription, is_unified=False).kinds_on(keys) == expected


def test_what_was_asked_for_is_outdated_when_something_else_is_wanted(subscription):
    plan = MediaPlan(subscription, is_unified=False)
    assert plan.outdated([AUDIO, CHAT]) == [AUDIO, CHAT]  # never asked for
    assert set(plan.ask(AUDIO)) == {"audio"}
    assert plan.ask(CHAT) == {}
    assert plan.outdated([AUDIO, CHAT]) == []
    subscription.params[AUDIO] = AudioParams(channel=1)
    assert plan.outdated([AUDIO, CHAT]) == [AUDIO]
    plan.ask(AUDIO)
    assert plan.outdated([AUDIO, CHAT]) == []


def test_the_unified_connection_asks_for_all_that_is_wanted(subscription):
    plan = MediaPlan(subscription, is_unified=True)
    plan.ask(ALL)
    subscription.enable(VIDEO, True)
    assert plan.outdated([ALL]) == [ALL]
    assert set(plan.ask(ALL)) == {"audio", "video"}
