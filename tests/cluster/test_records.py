"""What is kept of a webhook."""

from __future__ import annotations

from rtms_gevent.cluster.records import storable


def test_no_secret_is_stored_wherever_it_stands() -> None:
    payload = {"rtms_stream_id": "a", "Signature": "s", "object": {"client_secret": "s", "n": 1}}
    people = [{"id": 1, "access_token": "t"}, [{"password": "p"}], "text"]
    document = {"event": "e", "payload": payload, "people": people}
    assert storable(document) == {
        "event": "e",
        "payload": {"rtms_stream_id": "a", "object": {"n": 1}},
        "people": [{"id": 1}, [{}], "text"],
    }
