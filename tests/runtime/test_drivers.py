"""Which loaded drivers would block a hub. The drivers are played: none need be installed."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import pytest
from gevent import monkey

from rtms_gevent.runtime import drivers


def wait_c(): ...


def wait_poll(): ...


def psycopg(wait):
    return {"psycopg.waiting": SimpleNamespace(wait=wait, wait_c=wait_c)}


def psycopg2(callback):
    return {"psycopg2.extensions": SimpleNamespace(get_wait_callback=lambda: callback)}


def oracledb(*, thin):
    return {"oracledb": SimpleNamespace(is_thin_mode=lambda: thin)}


def grpc(activated):
    return {"grpc._cython.cygrpc": SimpleNamespace(g_gevent_activated=activated)}


def pymssql(callback):
    return {"pymssql._mssql": SimpleNamespace(wait_callback=callback)}


ANY = SimpleNamespace()


@pytest.mark.parametrize(
    ("loaded", "expected"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param(psycopg2(None), ["psycopg2"], id="psycopg2"),
        pytest.param(psycopg2(print), [], id="psycopg2 with psycogreen"),
        pytest.param(psycopg(wait_c), ["psycopg"], id="psycopg, patched too late"),
        pytest.param(psycopg(wait_poll), [], id="psycopg, patched before"),
        pytest.param(
            {"psycopg.waiting": SimpleNamespace(wait=wait_poll)}, [], id="psycopg without C"
        ),
        pytest.param({"MySQLdb": ANY, "MySQLdb._mysql": ANY}, ["mysqlclient (MySQLdb)"], id="C"),
        pytest.param({"MySQLdb": ANY, "pymysql": ANY}, [], id="PyMySQL as MySQLdb"),
        pytest.param({"cx_Oracle": ANY}, ["cx_Oracle"], id="cx_Oracle"),
        pytest.param(oracledb(thin=False), ["oracledb in thick mode"], id="oracledb, thick"),
        pytest.param(oracledb(thin=True), [], id="oracledb, thin"),
        pytest.param({"pyodbc": ANY}, ["pyodbc"], id="pyodbc"),
        pytest.param(pymssql(None), ["pymssql"], id="pymssql"),
        pytest.param(pymssql(print), [], id="pymssql with a callback"),
        pytest.param(grpc(False), ["grpc"], id="grpc"),
        pytest.param(grpc(True), [], id="grpc with its support for gevent"),
        pytest.param(psycopg2(None) | grpc(False), ["psycopg2", "grpc"], id="two"),
        pytest.param({"psycopg2": ANY}, [], id="one that is just being imported"),
        pytest.param({"oracledb": ANY}, [], id="a version that does not tell"),
        pytest.param({"psycopg2.extensions": None}, [], id="one whose import failed"),
    ],
)
def test_which_would_block(loaded, expected):
    assert [driver.name for driver in drivers.blocking(loaded)] == expected


@pytest.fixture
def loaded(monkeypatch, caplog):
    """A patched process that has loaded psycopg2, as far as can be seen."""
    monkeypatch.setattr(drivers, "_warned", set())
    monkeypatch.setattr(monkey, "is_module_patched", lambda name: name == "socket")
    for name, module in psycopg2(None).items():
        monkeypatch.setitem(sys.modules, name, module)
    caplog.set_level(logging.WARNING, logger=drivers.__name__)
    return caplog


def test_each_is_logged_once(loaded, monkeypatch):
    drivers.warn()
    drivers.warn()
    assert len(loaded.records) == 1
    assert "psycopg2 is loaded" in loaded.text
    assert "psycogreen.gevent.patch_psycopg()" in loaded.text
    for name, module in grpc(False).items():  # loaded later
        monkeypatch.setitem(sys.modules, name, module)
    drivers.warn()
    assert len(loaded.records) == 2
    assert "grpc is loaded" in loaded.text


def test_a_process_that_is_not_patched_gets_no_warning(loaded, monkeypatch):
    monkeypatch.setattr(monkey, "is_module_patched", lambda name: False)
    drivers.warn()
    assert not loaded.records


def test_nothing_is_imported(loaded):
    before = set(sys.modules)
    drivers.warn()
    assert set(sys.modules) == before
