"""Which of several hosts is connected to when, and who wins: by order, never by time."""

from __future__ import annotations

import contextlib
import errno
import itertools

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from support.rawserver import RawServer, black_hole, hang, unused_port
from support.recorder import wait_until

from rtms_gevent.transport.happy_eyeballs import History, Race, _interleaved

LOCAL = "127.0.0.1"


@pytest.fixture(scope="module")
def hole():
    """A port that takes no connection, and says so to nobody."""
    with black_hole() as (_, port):
        yield port


@pytest.fixture
def good():
    with RawServer(hang) as server:
        yield server.port


@pytest.fixture
def other():
    with RawServer(hang) as server:
        yield server.port


@pytest.fixture
def refused():
    return unused_port()


class NotingRace(Race):
    """Keeps why which host was out."""

    def __init__(self, hosts, history):
        super().__init__(hosts, history, lambda key, problem, _: self.out.append((key, problem)))
        self.out = []


@pytest.fixture
def race(dialled, good, hole):
    dialled.forget()
    return lambda hosts, history=None: NotingRace(hosts, history or History())


@pytest.fixture
def resolve(monkeypatch):
    """Let names have these addresses; calls what is none."""
    names = {}

    def look_up(host, *_):
        found = names[host]
        if callable(found):
            found = found()
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (LOCAL, port)) for port in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


def finish(won):
    """Return who won, and close it."""
    key, sock, address = won
    assert sock.getpeername() == address
    assert sock.gettimeout() is None
    sock.close()
    return key


class TestOrder:
    def test_the_first_that_answers_wins_and_nobody_else_is_dialled(
        self, race, dialled, good, other, patient
    ):
        assert finish(race({"a": (LOCAL, good), "b": (LOCAL, other)}).winner()) == "a"
        assert dialled.ports == [good]

    def test_a_failure_gives_the_next_one_its_turn_at_once(
        self, race, dialled, refused, good, patient
    ):
        made = race({"a": (LOCAL, refused), "b": (LOCAL, good)})
        assert finish(made.winner()) == "b"
        assert dialled.ports == [refused, good]
        ((key, problem),) = made.out
        assert key == "a"
        assert isinstance(problem, ConnectionRefusedError)

    def test_a_black_hole_costs_its_head_start_only(self, race, dialled, hole, good, hasty):
        made = race({"a": (LOCAL, hole), "b": (LOCAL, hole), "c": (LOCAL, good)})
        assert finish(made.winner()) == "c"
        assert dialled.ports == [hole, hole, good]
        assert made.out == []  # who knows: they may be slow
        assert list(made.left) == ["a", "b"]

    def test_the_next_one_waits_for_the_head_start(self, race, dialled, hole, good, patient):
        waiting = gevent.spawn(race({"a": (LOCAL, hole), "b": (LOCAL, good)}).winner)
        wait_until(lambda: dialled.ports)
        for _ in range(50):  # turns of the loop
            gevent.sleep(0)
        assert dialled.ports == [hole]
        assert len(dialled.open) == 1
        waiting.kill()
        assert dialled.open == []

    def test_one_that_answers_late_may_still_win(self, race, dialled, refused, hasty):
        """It is not given up because the next one got its turn."""
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket())
            listener.bind((LOCAL, 0))
            listener.listen(0)
            guests = [stack.enter_context(socket.socket()) for _ in range(5)]
            for guest in guests:  # they fill the queue
                guest.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    guest.connect(listener.getsockname())
            dialled.forget()
            late = (LOCAL, listener.getsockname()[1])
            made = race({"late": late, "never": (LOCAL, refused)})
            waiting = gevent.spawn(made.winner)
            wait_until(lambda: made.out)
            stack.callback(gevent.spawn(accept_all, listener).kill)
            assert finish(waiting.get(timeout=30)) == "late"

    def test_the_addresses_of_hosts_take_turns(self, race, dialled, resolve, patient):
        ports = [unused_port() for _ in range(6)]
        resolve.update(a=ports[:3], b=ports[3:5], c=ports[5:])
        made = race({name: (name, 1) for name in "abc"})
        assert made.winner() is None
        a1, a2, a3, b1, b2, c1 = ports
        assert dialled.ports == [a1, b1, c1, a2, b2, a3]
        assert [key for key, _ in made.out] == ["c", "b", "a"]
        assert not made.left

    def test_nobody_is_there(self, race, refused):
        made = race({"a": (LOCAL, refused)})
        assert made.winner() is None
        assert made.winner() is None
        assert len(made.out) == 1

    def test_a_family_that_this_machine_has_not(self, race, good, monkeypatch, patient):
        found = [
            (-2, socket.SOCK_STREAM, 0, "", (LOCAL, good)),
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", (LOCAL, good)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
        assert finish(race({"a": ("name", good)}).winner()) == "a"

    def test_a_network_without_a_route(self, race, good, monkeypatch, patient):
        """What the kernel says at once: no watcher is left, and the next one has its turn."""
        connect = socket.socket.connect

        def no_route(sock, address):
            if address[0] == "127.0.0.9":
                raise OSError(errno.ENETUNREACH, "Network is unreachable")
            return connect(sock, address)

        monkeypatch.setattr(socket.socket, "connect", no_route)
        made = race({"a": ("127.0.0.9", good), "b": (LOCAL, good)})
        assert finish(made.winner()) == "b"
        assert [problem.errno for _, problem in made.out] == [errno.ENETUNREACH]


def accept_all(listener):
    while True:
        listener.accept()[0].close()


@pytest.mark.parametrize(
    ("families", "order"),
    [
        ([], []),
        ([4], [0]),
        ([6, 6, 4, 4], [0, 2, 1, 3]),
        ([6, 6, 6, 4], [0, 3, 1, 2]),
        ([4, 6, 4], [0, 1, 2]),
        ([4, 4], [0, 1]),
    ],
    ids=str,
)
def test_families_take_turns(families, order):
    found = [(family, 1, 0, "", number) for number, family in enumerate(families)]
    assert [info[4] for info in _interleaved(found)] == order


class TestAnotherRound:
    """The winner was of no use: TLS failed, say."""

    def test_the_losers_race_on(self, race, dialled, refused, good, hole, other, hasty):
        hosts = {"slow": hole, "closed": refused, "first": good, "second": other}
        made = race({key: (LOCAL, port) for key, port in hosts.items()})
        assert finish(made.winner()) == "first"
        assert dialled.open == []
        dialled.forget()
        assert finish(made.winner()) == "second"
        # Who was on the way comes before who was not; who is out, or has won, comes never.
        assert dialled.ports == [hole, other]
        assert [key for key, _ in made.out] == ["closed"]
        assert list(made.left) == ["slow"]

    def test_the_winners_other_addresses_are_left_out(
        self, race, dialled, resolve, good, other, patient
    ):
        resolve.update(a=[good, good], b=[other])
        made = race({"a": ("a", 1), "b": ("b", 1)})
        assert finish(made.winner()) == "a"
        assert finish(made.winner()) == "b"
        assert made.winner() is None
        assert dialled.ports == [good, other]
        assert made.out == []


class TestLookups:
    def test_a_name_server_that_does_not_answer_starves_nobody(
        self, race, dialled, resolve, good, hasty
    ):
        never = Event()
        resolve.update(a=never.wait, b=[good])
        made = race({"a": ("a", 1), "b": ("b", 1)})
        assert finish(made.winner()) == "b"
        assert list(made.left) == ["a"]
        assert made.begun == {"a": False, "b": True}
        wait_until(lambda: not never.linkcount())  # its greenlet is gone

    def test_a_name_that_nobody_knows_gives_the_next_its_turn(self, race, resolve, good, patient):
        def unknown():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        resolve.update(a=unknown, b=[good])
        made = race({"a": ("a", 1), "b": ("b", 1)})
        assert finish(made.winner()) == "b"
        assert [(key, type(problem)) for key, problem in made.out] == [("a", socket.gaierror)]

    def test_a_lookup_and_its_first_address_are_one_turn(
        self, race, dialled, resolve, hole, good, other, patient
    ):
        """Else hosts without a name would overtake a better one."""
        go = Event()
        resolve.update(a=lambda: go.wait() and [good], b=[other])
        waiting = gevent.spawn(race({"a": ("a", 1), "b": ("b", 1)}).winner)
        go.set()
        assert finish(waiting.get(timeout=30)) == "a"
        assert dialled.ports == [good]

    def test_one_host_costs_no_greenlet(self, race, resolve, refused, good, monkeypatch, patient):
        resolve.update(a=[refused, good])
        monkeypatch.setattr(gevent, "spawn", None)
        assert finish(race({"a": ("a", 1)}).winner()) == "a"
        assert finish(race({"a": (LOCAL, good)}).winner()) == "a"


class TestBounds:
    def test_connections_on_their_way_are_few(self, race, dialled, hole, good, hasty):
        hosts = dict.fromkeys(range(20), (LOCAL, hole))
        made = race({**hosts, "good": (LOCAL, good)})
        assert finish(made.winner()) == "good"
        assert dialled.most_open <= 8
        assert dialled.open == []
        # Who had the most time was given up.
        assert [key for key, _ in made.out] == list(range(13))
        assert {type(problem) for _, problem in made.out} == {TimeoutError}

    def test_lookups_are_few(self, race, resolve, good, hasty):
        asking = set()
        most = []

        def never():
            asking.add(gevent.getcurrent())
            most.append(len(asking))
            try:
                Event().wait()
            finally:
                asking.remove(gevent.getcurrent())

        resolve.update({f"name-{number}": never for number in range(20)})
        made = race({name: (name, 1) for name in [*resolve]} | {"good": (LOCAL, good)})
        assert finish(made.winner()) == "good"
        assert max(most) <= 8
        wait_until(lambda: not asking)


class TestHistory:
    @pytest.mark.parametrize(
        ("signs", "order"),
        [
            ("", "abcd"),
            ("+c", "cabd"),
            ("+c +d", "dcab"),
            ("-a", "bcda"),
            ("-a -b", "cdab"),
            ("-b -a", "cdba"),
            ("-a +a", "abcd"),
            ("+a -a", "bcda"),
            ("-a +c -b +d", "dcab"),
            ("+x -y", "abcd"),
        ],
    )
    def test_what_worked_comes_first_and_what_did_not_last(self, signs, order):
        history = History()
        for sign, key in signs.split():
            (history.worked if sign == "+" else history.tried)(key)
        assert "".join(history.best_first("abcd", key=str)) == order

    def test_it_forgets_the_oldest(self):
        history = History()
        for number in range(10_000):
            history.worked(number)
        assert len(history._ranks) == 256
        assert history.best_first([0, 9_000, 9_999], key=int) == [9_999, 0, 9_000]

    def test_the_address_that_worked_comes_first_among_those_of_its_host(
        self, race, dialled, resolve, refused, good, patient
    ):
        history = History()
        history.worked((LOCAL, good))
        resolve.update(a=[refused], b=[refused, good])
        assert finish(race({"a": ("a", 1), "b": ("b", 1)}, history).winner()) == "b"
        assert dialled.ports == [refused, good]


def test_every_watcher_and_socket_is_let_go_of(race, dialled, hole, refused, good, hasty):
    """However it ends: won, lost, killed, out of time."""
    ends = itertools.cycle(("kill", "timeout", "win"))
    for end, _ in zip(ends, range(9), strict=False):
        hosts = {"a": (LOCAL, hole), "b": (LOCAL, refused), "c": (LOCAL, hole)}
        if end == "win":
            hosts["d"] = (LOCAL, good)
        made = race(hosts)
        waiting = gevent.spawn(made.winner)
        if end == "win":
            finish(waiting.get(timeout=30))
        else:
            wait_until(lambda: made.out)  # noqa: B023
            waiting.kill(gevent.Timeout if end == "timeout" else gevent.GreenletExit)
    assert dialled.open == []
