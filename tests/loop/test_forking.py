"""A program that forks while streams live: the child must disturb none of them."""

from __future__ import annotations

import json

import pytest
from support.recorder import wait_until
from support.script import Script

#: Joins, and forks as soon as a packet came. The child goes on with gevent until the parent ends.
SCRIPT = """
    import json, os, sys
    {patch}
    import gevent
    import rtms_gevent as rtms
    from gevent import os as gos

    ours, its = os.pipe()
    parent = os.getpid()

    def say(*words):
        who = "parent" if os.getpid() == parent else "child"
        os.write(1, (" ".join((who, *words)) + chr(10)).encode())  # not through a copied buffer

    def fork():
        if os.fork():
            os.close(ours)
            return
        try:
            os.close(its)
            gos.make_nonblocking(ours)
            say("lives")
            while client.is_joined:
                say("thinks that the stream is its own")
            client.leave()
            # Whatever can happen in a hub happens here, until the parent has ended.
            gos.nb_read(ours, 1)
        finally:
            os._exit(0)

    client = rtms.Client()
    client.on_interrupted(lambda *_: say("interrupted"))
    client.on_leave(lambda *_: say("left"))

    @client.on_audio_data
    def audio(data, size, timestamp, metadata):
        say("audio", data.decode())
        if data == b"fork" and {in_callback}:
            fork()

    def join():
        client.join(json.loads(sys.argv[1]), client=sys.argv[2], secret=sys.argv[3])

    {main}
    say("ran")
"""

HOSTS = {
    "in a callback": ("", True, "join(); rtms.run(stop_on_empty=True)"),
    "in a callback, patched": (
        "from gevent import monkey; monkey.patch_all()",
        True,
        "join(); rtms.run(stop_on_empty=True)",
    ),
    "outside of it": (
        "",
        False,
        "join(); client.wait_joined(); gevent.sleep(0.05); fork(); client.wait()",
    ),
    "beside a loop in a thread": (
        "",
        False,
        "loop = rtms.EventLoop().start(); loop.add(client); join(); client.wait_joined(); fork(); "
        "client.wait(); loop.stop(); loop.join()",
    ),
}


@pytest.mark.parametrize("loop", ["libev-cext", "libuv"])
@pytest.mark.parametrize("host", HOSTS)
def test_the_parent_loses_nothing(host, loop, simulator, meeting):
    patch, in_callback, main = HOSTS[host]
    code = SCRIPT.format(patch=patch, in_callback=in_callback, main=main)
    script = Script.joining(simulator, code, GEVENT_LOOP=loop)
    assert meeting.wait_ready(10)
    connections = meeting.connections("all_sockets")
    meeting.send_audio(b"fork")
    lines = [script.line()]
    while "child lives" not in lines:
        lines.append(script.line())
    numbers = range(200)
    for number in numbers:
        meeting.send_audio(b"%d" % number)
        if number % 10 == 0:  # the child has time to take some
            wanted = f"parent audio {number}"
            while wanted not in lines:
                lines.append(script.line())
    assert meeting.connections("all_sockets") == connections
    meeting.stop(6)
    lines += script.finish()
    assert [line for line in lines if line.startswith("parent")] == [
        "parent audio fork",
        *(f"parent audio {number}" for number in numbers),
        "parent left",
        "parent ran",
    ]
    assert [line for line in lines if line.startswith("child")] == ["child lives"]


def test_what_was_joined_but_did_not_begin_goes_on_in_the_child(simulator, meeting):
    """As in a program that becomes a daemon."""
    code = """
        import json, os, sys
        import rtms_gevent as rtms

        client = rtms.Client()
        client.on_audio_data(lambda data, *_: print(data.decode(), flush=True))
        client.join(json.loads(sys.argv[1]), client=sys.argv[2], secret=sys.argv[3])
        if os.fork():
            os._exit(0)
        rtms.run(stop_on_empty=True)
        print("ran", flush=True)
    """
    script = Script.joining(simulator, code)
    assert meeting.wait_ready(10)
    meeting.send_audio(b"x")
    assert script.line() == "x"
    meeting.stop(6)
    assert script.finish()[0] == "ran"


def test_a_child_may_have_streams_of_its_own(simulator, meeting):
    """Also on the loop that runs in a thread of the parent, and that the child starts anew."""
    code = """
        import json, os, sys, time
        import rtms_gevent as rtms

        loop = rtms.EventLoop().start()
        theirs = rtms.Client()
        loop.add(theirs)
        theirs.on_audio_data(lambda data, *_: print("parent", data.decode(), flush=True))
        theirs.join(json.loads(sys.argv[1]), client=sys.argv[2], secret=sys.argv[3])
        theirs.wait_joined()
        child = os.fork()
        if not child:
            assert not loop.is_running
            loop.start()
            ours = rtms.Client()
            loop.add(ours)
            ours.on_audio_data(lambda data, *_: print("child", data.decode(), flush=True))
            ours.join(json.loads(sys.argv[4]), client=sys.argv[2], secret=sys.argv[3])
            ours.wait()
            loop.stop()
            loop.join()
            os._exit(0)
        os.waitpid(child, 0)
        theirs.wait()
    """
    other = simulator.add_meeting()
    script = Script(
        code,
        json.dumps(meeting.payload),
        simulator.client_id,
        simulator.client_secret,
        json.dumps(other.payload),
    )
    assert meeting.wait_ready(10)
    assert other.wait_ready(10)
    other.send_audio(b"two")
    assert script.line() == "child two"
    meeting.send_audio(b"one")
    assert script.line() == "parent one"
    other.stop(6)
    wait_until(lambda: not other.connections("all_sockets"))
    meeting.stop(6)
    script.finish()
