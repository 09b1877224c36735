"""A program that just ends: its streams are left all the same."""

from __future__ import annotations

import pytest
from support.recorder import wait_until
from support.script import Script

HEAD = """
    import json, os, sys, threading, time
    {patch}
    import gevent
    import rtms_gevent as rtms

    parent = os.getpid()
    client = rtms.Client()
    client.on_audio_data(lambda data, *_: print("audio", data.decode(), flush=True))

    def join():
        client.join(json.loads(sys.argv[1]), client=sys.argv[2], secret=sys.argv[3])

    def join_in_a_thread():
        loop = rtms.EventLoop(name="t").start()
        loop.add(client)
        join()
        return loop
"""

ENDS = {
    "a loop in a thread": "loop = join_in_a_thread(); client.wait_joined(); {end}",
    "on the main thread's hub": "join(); client.wait_joined(); {end}",
}


@pytest.mark.parametrize(
    "end", ["input()", "input(); sys.exit(0)", "input(); gevent.spawn(sys.exit, 0).join()"]
)
@pytest.mark.parametrize(
    "patch", ["", "from gevent import monkey; monkey.patch_all()"], ids=["plain", "patched"]
)
@pytest.mark.parametrize("where", ENDS)
def test_close_frames_are_sent(where, patch, end, simulator, meeting):
    code = HEAD.format(patch=patch) + "\n    " + ENDS[where].format(end=end)
    script = Script.joining(simulator, code)
    assert meeting.wait_ready(10)
    connections = meeting.connections("all_sockets")
    script.finish("\n", code=None)
    for connection in connections:
        assert connection.ended.wait(5)
        assert connection.client_close_code == 1000


def test_a_blocked_callback_does_not_hinder_the_end(simulator, meeting):
    code = (
        HEAD.format(patch="")
        + """
    from rtms_gevent.runtime import exit as process_exit
    # 0.1 s together: the loop must not be just ending when the interpreter does.
    process_exit.LEAVE_TIMEOUT = 0.1 - process_exit.CALLBACK_SHUTDOWN_TIMEOUT

    @client.on_audio_data
    def audio(*_):
        print("blocks", flush=True)
        time.sleep(60)

    loop = join_in_a_thread()
    input()
    """
    )
    script = Script.joining(simulator, code)
    assert meeting.wait_ready(10)
    meeting.send_audio(b"x")
    assert script.line() == "blocks"
    script.finish("\n")
    assert "could not leave" in script.err


def test_a_child_leaves_nothing(simulator, meeting):
    code = (
        HEAD.format(patch="")
        + """
    loop = join_in_a_thread()
    client.wait_joined()
    if not os.fork():
        sys.exit(0)  # runs what is to be run at exit
    os.wait()
    print("child ended", flush=True)
    input()
    """
    )
    script = Script.joining(simulator, code)
    assert meeting.wait_ready(10)
    assert script.line() == "child ended"
    meeting.send_audio(b"x")
    assert script.line() == "audio x"
    script.finish("\n")
    wait_until(lambda: not meeting.connections("all_sockets"))
