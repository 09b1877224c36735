"""Contexts: what waits for a hub, and what is called on it from other threads. No sockets."""

from __future__ import annotations

import asyncio
import gc
import threading

import gevent
import pytest
from gevent.event import Event
from support.recorder import wait_until

from rtms_gevent import NotJoinedError
from rtms_gevent.runtime.hub_context import (
    HubContext,
    PendingCall,
    all_clients,
    context_of,
    current_context,
    default,
    register_running,
    running_context,
)


class Joining:
    """Stands for a client whose join has not begun."""

    def __init__(self, context):
        self.began_on, self.moves = [], []
        self.context = context
        self.pending = PendingCall(context, self.begin, self)
        context.schedule(self.pending)

    def begin(self):
        self.began_on.append(self.context)

    def moved_to(self, context):
        self.context = context
        self.moves.append(context)

    def leave(self):
        return True


@pytest.fixture
def here():
    """A context of this hub."""
    made = HubContext()
    made.attach(gevent.get_hub())
    yield made
    made.detach()


def wait_for_turns():
    """Let what was scheduled on this hub run, which takes a turn."""
    done = Event()
    context_of(gevent.get_hub()).spawn(done.set)
    assert done.wait(5)


class TestPendingCalls:
    def test_waits_until_there_is_a_hub(self):
        context, ran = HubContext(), []
        context.submit(lambda: ran.append(1))
        context.submit(lambda: ran.append(2))
        wait_for_turns()
        assert ran == []
        context.attach(gevent.get_hub())
        wait_for_turns()
        assert ran == [1, 2]
        context.detach()

    def test_does_not_run_before_it_was_scheduled(self, here):
        ran = []
        here.submit(lambda: ran.append(1))
        assert ran == []
        wait_for_turns()
        assert ran == [1]

    def test_runs_once(self, here):
        ran = []
        call = here.submit(lambda: ran.append(1))
        here.run(call)  # who needs it now does not wait
        wait_for_turns()
        here.run(call)
        assert ran == [1]
        assert not call.cancel()

    def test_can_be_taken_back(self, here):
        ran = []
        call = here.submit(lambda: ran.append(1))
        assert call.cancel()
        assert not call.cancel()
        wait_for_turns()
        assert ran == []

    def test_outlives_a_hub_that_ended_before_it_ran(self):
        context, ran = HubContext(gevent.get_hub()), []
        context.submit(lambda: ran.append(gevent.get_hub()))
        context.detach()
        thread = threading.Thread(target=self.run_hub, args=(context,))
        thread.start()
        wait_until(lambda: ran)
        assert ran != [gevent.get_hub()]
        thread.join()

    def run_hub(self, context):
        context.attach(gevent.get_hub())
        gevent.sleep(0.05)
        context.detach()
        gevent.get_hub().destroy(destroy_loop=True)


class TestMoving:
    def test_a_join_moves_with_its_client(self, here):
        earlier = HubContext()
        joining, woken = Joining(earlier), []
        undo = earlier.watch(lambda: woken.append(True))
        assert joining.pending.move_to(here)
        assert (earlier.clients, here.clients) == ([], [joining])
        assert (joining.moves, woken) == ([here], [True])
        wait_for_turns()
        assert joining.began_on == [here]
        undo()

    def test_it_begins_on_the_new_hub_only(self, here):
        later = HubContext()
        joining = Joining(here)
        assert joining.pending.move_to(later)
        here.run(joining.pending)
        wait_for_turns()  # the greenlet that was to begin it here
        assert joining.began_on == []
        later.attach(gevent.get_hub())
        wait_for_turns()
        assert joining.began_on == [later]
        later.detach()

    def test_what_has_begun_stays(self, here):
        joining = Joining(here)
        wait_for_turns()
        assert not joining.pending.move_to(HubContext())
        assert (here.clients, joining.moves) == ([joining], [])

    def test_adopting_takes_what_waits_and_nothing_else(self, here):
        other, ran = HubContext(), []
        waiting, added = Joining(other), Joining(other)
        added.pending.cancel()  # such as one that was added there, and never joined
        other.submit(lambda: ran.append(1))
        here.adopt(other)
        wait_for_turns()
        assert (waiting.began_on, added.began_on, ran) == ([here], [], [1])
        assert (here.clients, other.clients) == ([waiting], [added])


class TestClients:
    def test_all_of_the_process(self, here):
        joining = Joining(here)
        assert joining in all_clients()
        here.discard(joining)
        assert joining not in all_clients()

    def test_those_that_are_gone_are_not_kept(self):
        context = HubContext()
        joining = Joining(context)
        joining.pending.cancel()
        del joining
        gc.collect()
        assert context.clients == []


class TestCalls:
    def test_here_it_is_a_plain_call(self, here):
        assert here.call(gevent.getcurrent) is gevent.getcurrent()

    def test_from_another_thread(self, here):
        got = gevent.get_hub().threadpool.apply(here.call, (gevent.get_hub,))
        assert got is gevent.get_hub()

    def test_what_it_raises_is_raised_where_it_was_asked_for(self, here):
        with pytest.raises(ValueError, match="invalid literal"):
            gevent.get_hub().threadpool.apply(here.call, (int, "x"))

    def test_without_a_hub(self):
        with pytest.raises(NotJoinedError, match="does not run"):
            HubContext().call(print)

    def test_a_hub_that_ends_meanwhile(self, here):
        never = Event()
        asking = gevent.get_hub().threadpool.spawn(here.call, never.wait)
        wait_until(lambda: here._calls)
        here.detach()
        with pytest.raises(NotJoinedError, match="has ended"):
            asking.get(timeout=5)
        never.set()


class TestWhereStreamsLive:
    def test_a_hub_has_one_context(self):
        assert context_of(gevent.get_hub()) is context_of(gevent.get_hub())

    def test_in_a_greenlet_it_is_its_hubs(self):
        found = gevent.spawn(current_context).get()
        assert found is context_of(gevent.get_hub())

    def test_in_the_main_greenlet_nobody_knows_whether_the_hub_will_run(self):
        assert running_context() is None
        assert current_context() is context_of(gevent.get_hub())

    def test_what_runs_takes_those_of_other_threads(self, here):
        undo = register_running(here)
        try:
            assert gevent.get_hub().threadpool.apply(current_context) is here
        finally:
            undo()
        assert running_context() is None

    def test_on_an_asyncio_loop(self):
        async def ask():
            return current_context()

        assert asyncio.run(ask()) is default
