"""Values that each hub has for itself."""

from __future__ import annotations

import gc
import threading
import weakref

import gevent

from rtms_gevent.runtime.hub_local import HubLocal


class Value:
    """Can be referred to weakly."""


def in_own_hub(function):
    """Call in a thread with a hub of its own, which is destroyed then; return the result."""
    results = []

    def run():
        results.append(function(gevent.get_hub()))
        gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def test_a_hub_keeps_its_value_and_another_has_another():
    variable = HubLocal(Value)
    here = variable.of(gevent.get_hub())
    assert variable.of(gevent.get_hub()) is here
    assert in_own_hub(variable.of) is not here


def test_two_variables_do_not_meet():
    first, second = HubLocal(list), HubLocal(list)
    first.of(gevent.get_hub()).append(1)
    assert second.of(gevent.get_hub()) == []


def test_a_value_can_be_replaced():
    variable = HubLocal(lambda: None)
    variable.set(gevent.get_hub(), 5)
    assert variable.of(gevent.get_hub()) == 5


def test_the_value_goes_with_its_hub():
    variable = HubLocal(Value)
    value = in_own_hub(lambda hub: weakref.ref(variable.of(hub)))
    gc.collect()
    assert value() is None
