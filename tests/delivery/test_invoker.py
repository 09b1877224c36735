"""Calling functions: what is counted, logged and reported of what fails. No socket."""

from __future__ import annotations

import contextlib
from concurrent.futures import Executor

import pytest
from support.delivery import make_invoker

from rtms_gevent import Client, ConfigurationError, signals
from rtms_gevent.protocol.events import ClientEvent


class Refusing(Executor):
    def submit(self, *_, **__):
        raise OSError("no connection to the broker")


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def errors(client):
    """What the client's ``error`` signal reports."""
    reported = []

    def keep(sender, error, where, **_):
        reported.append((error, where))

    with signals.error.connected_to(keep, sender=client):
        yield reported


def raising(*problems):
    """A function that raises these, one after the other; ``None`` lets it return."""
    left = list(problems)

    def function(*_):
        problem = left.pop(0)
        if problem is not None:
            raise problem

    return function


def test_what_each_call_raises_is_counted_logged_and_reported(client, errors, caplog):
    first, second = ValueError("one"), SystemExit("two")
    invoker = make_invoker(client, chat_data=raising(first, None, second))
    result = invoker.call("chat_data", [()] * 3)
    assert (result.made, result.problems) == (3, [first, second])
    assert invoker.callback_errors == {"chat_data": 2}
    assert errors == [(first, "on_chat_data"), (second, "on_chat_data")]
    assert [record.exc_info[1] for record in caplog.records] == [first, second]
    assert caplog.text.count("stream s: callback on_chat_data failed") == 2


@pytest.mark.parametrize(
    ("failures", "tracebacks", "summaries"),
    [(1, 1, 0), (5, 5, 0), (6, 5, 0), (999, 5, 0), (1000, 5, 1), (2500, 5, 2)],
)
def test_one_that_always_fails_does_not_fill_the_log(
    failures, tracebacks, summaries, client, errors, caplog
):
    invoker = make_invoker(client)
    for _ in range(failures):
        invoker.report_failure("audio_data", ValueError())
    logged = [record.exc_info is not None for record in caplog.records]
    assert (logged.count(True), logged.count(False)) == (tracebacks, summaries)
    assert len(errors) == failures  # who wants each of them has the signal


def test_many_calls_that_fail_at_once_are_mentioned_when_they_pass_a_thousand(caplog):
    invoker = make_invoker()
    for _ in range(3):
        invoker.report_failure("audio_data", ValueError(), 600)
    assert invoker.callback_errors == {"audio_data": 1800}
    assert [record.args[2] for record in caplog.records] == [1200]


def test_a_runner_that_fails_is_reported_once_and_counted_each_time(client, errors, caplog):
    invoker = make_invoker(client, executor=Refusing(), chat_data=print, audio_data=print)
    assert invoker.call("chat_data", [()] * 3).made == 0
    assert invoker.call("audio_data", [()]).made == 0
    assert invoker.callback_errors == {"chat_data": 3, "audio_data": 1}
    ((error, where),) = errors
    assert isinstance(error, ConfigurationError)
    assert where == "on_chat_data"
    assert len(caplog.records) == 1


def test_the_last_function_of_all_runs_here_where_no_runner_takes_it(caplog):
    got = []
    invoker = make_invoker(executor=Refusing(), end=got.append)
    invoker.call("end", [("reason",)])
    assert got == ["reason"]


def test_without_a_function_all_calls_count_as_made():
    invoker, begun = make_invoker(), []
    result = invoker.call("chat_data", [()] * 3, on_begun=lambda: begun.append(True))
    assert (result.made, result.problems, begun) == (3, [], [True])


def test_no_more_calls_once_closed_until_reopened(client, errors, caplog):
    got = []

    def leave(number):
        got.append(number)
        if number == 2:
            invoker.close()
            raise ValueError

    invoker = make_invoker(client, chat_data=leave)
    assert invoker.call("chat_data", [(1,), (2,), (3,)]).made == 2
    assert (got, invoker.is_closed, errors) == ([1, 2], True, [])
    assert "failed" in caplog.text
    assert invoker.call("chat_data", [(4,)]).made == 0
    invoker.reopen()
    assert invoker.call("chat_data", [(5,)]).made == 1


def test_the_context_is_around_each_call_and_each_signal(client):
    log = []

    @contextlib.contextmanager
    def context():
        log.append("enter")
        yield
        log.append("exit")

    def receive(sender, stream_id, uuid, **_):
        log.append((sender, stream_id, uuid))

    invoker = make_invoker(client, context=context, chat_data=log.append)
    invoker.call("chat_data", [(1,), (2,)])
    with signals.joined.connected_to(receive, sender=client):
        invoker.send_event(ClientEvent("joined", ("stream", "uuid")))
    assert log == [
        *("enter", 1, "exit"),
        *("enter", 2, "exit"),
        *("enter", (client, "stream", "uuid"), "exit"),
    ]


def test_a_broken_context_fails_calls_and_only_logs_for_signals(client, caplog):
    got = []

    def broken():
        raise LookupError("no app")

    def receive(sender, **_):
        got.append(sender)

    invoker = make_invoker(client, context=broken, chat_data=got.append)
    result = invoker.call("chat_data", [(1,)])
    assert [type(problem) for problem in result.problems] == [LookupError]
    with signals.joined.connected_to(receive, sender=client):
        invoker.send_event(ClientEvent("joined", ("stream", "uuid")))
    assert got == []
    assert "the context around receivers of signals failed" in caplog.text
