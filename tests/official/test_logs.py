"""Logging: nothing at import, the program's own set-up first, then the official SDK's switches."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from rtms_gevent import logs
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.logs import LogFormat, LogLevel, configure_logger

LEVELS = [
    ("error", LogLevel.ERROR, logging.ERROR),
    ("warn", LogLevel.WARN, logging.WARNING),
    ("info", LogLevel.INFO, logging.INFO),
    ("debug", LogLevel.DEBUG, logging.DEBUG),
    ("trace", LogLevel.TRACE, logs.TRACE),
]


@pytest.fixture
def root():
    """Give the package's logger as it is after an import, and put it back so."""
    logger = logging.getLogger("rtms_gevent")
    before = logger.level, logger.handlers[:], logger.propagate, logs._settings, logs._handler
    yield logger
    logger.level, logger.handlers, logger.propagate, logs._settings, logs._handler = before
    logger.setLevel(before[0])  # clears the cache of levels


def run(script, **environ):
    """Run a script in a process of its own; return what it wrote to standard error."""
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path), **environ},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    return result.stderr


IMPORT = "import logging, rtms_gevent, rtms_gevent.logs as logs; "
FROM_ENVIRONMENT = IMPORT + "logs.configure_from_environment(); "
SPEAK = (
    "[logging.getLogger('rtms_gevent.x').log(n, 'level %d', n) for n in (5, 10, 20, 30, 40)]; "
    "logs.log_info('bot', '100%', {'a': 1})"
)


def levels_in(text):
    return [int(line.rpartition(" ")[2]) for line in text.splitlines() if " level " in line]


def test_importing_configures_nothing():
    check = (
        IMPORT + "names = [n for n in logging.root.manager.loggerDict if 'rtms_gevent' in n]; "
        "loggers = [logging.root, *map(logging.getLogger, names)]; "
        "assert all(not l.handlers and l.propagate for l in loggers); "
        "assert all(not l.level for l in loggers[1:]); "
        "assert logging.getLevelName(5) == 'Level 5'"
    )
    assert run(check, ZM_RTMS_LOG_LEVEL="trace", ZM_RTMS_LOG_FORMAT="json") == ""


@pytest.mark.parametrize(("name", "level", "number"), LEVELS)
def test_the_level_from_the_environment(name, level, number):
    written = run(FROM_ENVIRONMENT + SPEAK, ZM_RTMS_LOG_LEVEL=name)
    assert levels_in(written) == [n for n in (5, 10, 20, 30, 40) if n >= number]
    assert ("TRACE" in written) is (name == "trace")
    assert ("bot      | " in written) is (number <= logging.INFO)


def test_info_and_lines_for_people_are_the_default():
    written = run(FROM_ENVIRONMENT + SPEAK)
    assert levels_in(written) == [20, 30, 40]
    component, _, level, message = written.splitlines()[-1].split("|")
    assert (component.strip(), level.strip(), message.strip()) == ("bot", "INFO", "100%")


@pytest.mark.parametrize("format", LogFormat)
def test_other_handlers_get_the_record_as_it_was(root, format):
    configure_logger({"format": format})
    record = logging.makeLogRecord({"name": "rtms_gevent.x", "msg": "hello"})
    before = set(vars(record)) | {"message", "asctime"}  # the standard library's
    assert "hello" in logs._handler.format(record)
    assert set(vars(record)) <= before


def test_json_lines():
    script = FROM_ENVIRONMENT + (
        "logs.log_warn('bot', 'two\\nlines', {'who': object})\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('rtms_gevent.x').exception('failed')"
    )
    first, second = map(json.loads, run(script, ZM_RTMS_LOG_FORMAT="json").splitlines())
    assert first.pop("time")[10::13] == "TZ"  # 2026-01-31T12:34:56.789Z
    assert first == {
        "level": "warning",
        "logger": "rtms_gevent.bot",
        "message": "two\nlines",
        "details": {"who": "<class 'object'>"},
    }
    assert second["message"] == "failed"
    assert second["exception"].endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize("off", ["false", "0", "No", "OFF"])
def test_it_can_be_turned_off(off):
    assert run(FROM_ENVIRONMENT + SPEAK, ZM_RTMS_LOG_ENABLED=off) == ""


@pytest.mark.parametrize("on", ["true", "1", "yes", "On", ""])
def test_it_can_be_said_to_be_on(on):
    assert levels_in(run(FROM_ENVIRONMENT + SPEAK, ZM_RTMS_LOG_ENABLED=on)) == [20, 30, 40]


def test_wrong_values_are_one_warning():
    written = run(
        FROM_ENVIRONMENT + SPEAK,
        ZM_RTMS_LOG_LEVEL="loud",
        ZM_RTMS_LOG_FORMAT="xml",
        ZM_RTMS_LOG_ENABLED="maybe",
    )
    assert levels_in(written) == [20, 30, 40]
    warnings = [line for line in written.splitlines() if "ignored" in line]
    assert len(warnings) == 1
    assert "ZM_RTMS_LOG_LEVEL: must be one of error, warn, info, debug, trace" in warnings[0]
    assert "ZM_RTMS_LOG_FORMAT: must be one of progressive, json, not 'xml'" in warnings[0]
    assert "ZM_RTMS_LOG_ENABLED: enabled must be true or false, not 'maybe'" in warnings[0]


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ("logging.basicConfig(level=30, format='mine %(message)s')", ["mine level 30"]),
        (
            "h = logging.StreamHandler(); h.setFormatter(logging.Formatter('mine %(message)s')); "
            "l = logging.getLogger('rtms_gevent'); l.addHandler(h); l.setLevel(30)",
            ["mine level 30"],
        ),
    ],
)
def test_a_program_that_has_configured_logging_keeps_all_of_it(setup, expected):
    script = f"import logging; {setup}; {FROM_ENVIRONMENT}{SPEAK}"
    written = run(script, ZM_RTMS_LOG_LEVEL="trace", ZM_RTMS_LOG_FORMAT="json")
    assert written.splitlines() == [*expected, "mine level 40"]


def test_asking_twice_gives_every_line_once():
    written = run(FROM_ENVIRONMENT * 2 + SPEAK)
    assert levels_in(written) == [20, 30, 40]


@pytest.mark.parametrize(("name", "level", "number"), LEVELS)
@pytest.mark.parametrize("form", ["name", "upper", "member", "number"])
def test_levels_can_be_given_in_any_form(root, name, level, number, form):
    configure_logger(
        {"level": {"name": name, "upper": name.upper(), "member": level}.get(form, int(level))}
    )
    assert root.level == number
    assert root.getChild("session").getEffectiveLevel() == number


def test_what_is_not_given_stays(root, capsys):
    configure_logger({"level": "debug", "format": LogFormat.JSON})
    configure_logger({"level": "error"})
    logs.log_warn("bot", "no")
    logs.log_error("bot", "yes")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "yes"
    configure_logger({"enabled": False})
    logs.log_error("bot", "no")
    assert capsys.readouterr().err == ""
    configure_logger({"enabled": True, "format": "progressive"})
    logs.log_error("bot", "yes again")
    assert capsys.readouterr().err.endswith("| ERROR   | yes again\n")
    assert len(root.handlers) == 1


def test_no_line_comes_twice_beside_the_programs_own(root, capsys, caplog):
    configure_logger({})
    logs.log_error("bot", "once")
    assert capsys.readouterr().err.count("once") == 1
    assert caplog.records == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"level": "loud"}, "must be one of error, warn, info, debug, trace, not 'loud'"),
        ({"level": 5}, "not 5"),
        ({"level": True}, "not True"),
        ({"level": None}, "not None"),
        ({"format": "xml"}, "must be one of progressive, json, not 'xml'"),
        ({"enabled": "maybe"}, "enabled must be true or false, not 'maybe'"),
        ({"enabled": 1}, "enabled must be true or false, not 1"),
        ({"color": True}, "no option 'color'; it has level, format, enabled"),
    ],
)
def test_wrong_options_change_nothing(root, options, problem):
    configure_logger({"level": "warn"})
    with pytest.raises(ConfigurationError, match=problem):
        configure_logger({"level": "debug", "enabled": False, **options})
    assert root.level == logging.WARNING
    assert len(root.handlers) == 1


@pytest.mark.parametrize(
    ("function", "level"),
    [("log_debug", "DEBUG"), ("log_info", "INFO"), ("log_warn", "WARNING"), ("log_error", "ERROR")],
)
def test_the_programs_own_lines(caplog, function, level):
    caplog.set_level(1, logger="rtms_gevent")
    getattr(logs, function)("my.bot", "50 %s done", details=["x"])
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("rtms_gevent.my.bot", level)
    assert record.getMessage() == "50 %s done"
    assert record.details == ["x"]
    assert record.filename == "test_logs.py"
