"""Where a stream's servers are."""

from __future__ import annotations

import pytest

from rtms_gevent.enums import MediaDataType, Product
from rtms_gevent.simulator.meeting.addresses import ServerAddresses

VOICE = (MediaDataType.TRANSCRIPT, MediaDataType.AUDIO)


@pytest.mark.parametrize(
    ("product", "roles"),
    [
        (Product.MEETING, ["audio", "transcript", "all"]),
        (Product.PHONE, ["audio", "transcript", "all"]),
        (Product.CONTACT_CENTER, ["audio", "all"]),
    ],
)
def test_which_media_have_an_address(product, roles):
    addresses = ServerAddresses("ws://h:1", "3", product, VOICE)
    assert addresses.server_urls == "ws://h:1/signaling"
    assert addresses.media_urls == {role: f"ws://h:1/media/{role}/3" for role in roles}


@pytest.mark.parametrize("dies", [False, True])
def test_a_failover(dies):
    addresses = ServerAddresses("ws://h:1", "3", Product.MEETING, VOICE)
    for number in (1, 2):
        addresses.move(dies=dies)
        assert addresses.server_urls == f"ws://h:1/signaling/3m{number}"
        assert addresses.media_urls["all"] == f"ws://h:1/media/all/3m{number}"
    assert addresses.keys == ["3", "3m1", "3m2"]
    assert [addresses.is_dead(key) for key in ("", *addresses.keys)] == [dies, dies, dies, False]
