"""How the store reaches Redis: addresses, TLS, Sentinel, Redis Cluster, and what servers refuse."""

from __future__ import annotations

import contextlib
import os

import gevent.socket
import gevent.ssl
import pytest
import trustme
from gevent.server import StreamServer
from support.recorder import wait_until
from support.script import Script

from rtms_gevent.cluster.records import Worker
from rtms_gevent.cluster.redis_connection import RedisClient, RedisServers
from rtms_gevent.cluster.redis_store import RedisStore
from rtms_gevent.errors import ConfigurationError, StoreError

from .redis_server import RedisServer, free_port, shared_server

WORKER = Worker("w", "here", 1, 1.0)


def works(url):
    """Open a store there, use it, and close it."""
    with RedisStore(url, "test") as store:
        store.open(WORKER)
        store.offer("s", {})
        claim = store.claim(may_expire=False)
        assert store.renew(WORKER, [claim]) == []
        store.send("s", {})
        assert len(store.wait(10).letters) == 1
        return store.release(claim, has_ended=True)


# -- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "name", "options"),
    [
        ("redis://localhost", "redis://localhost:6379/0", {}),
        ("redis://localhost/3", "redis://localhost:6379/3", {"db": 3}),
        ("redis://:p%40ss@h:1/0", "redis://h:1/0", {"password": "p@ss"}),
        ("redis://u:p@ss@h:1", "redis://h:1/0", {"username": "u", "password": "p@ss"}),
        ("rediss://[::1]:1/2", "rediss://::1:1/2", {"db": 2}),
        ("redis://h/0?client_name=me", "redis://h:6379/0", {"client_name": "me"}),
        (
            "sentinel://:secret@a:1,b/service/4?sentinel_password=other",
            "sentinel://a:1,b:26379/service/4",
            {"password": "secret", "db": 4},
        ),
        ("sentinel://a/service", "sentinel://a:26379/service/0", {}),
    ],
)
def test_addresses(url, name, options):
    servers = RedisServers(url)
    assert servers.name == name
    assert servers.options == options
    assert repr(servers) == f"<RedisServers {name}>"


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://:6379",
        "redis://:psst@h:port/0",
        "redis://:ps/st@h:1/0",
        "redis://:1/psst@h:1/0",
        "redis://:ps#psst@h:1/0",
        "redis://:ps?psst@h:1/0",
        "redis://h/psst",
        "redis://h,psst/0",
        "redis://h/0?psst",
        "redis://h/0?psst=1",
        "psst://h/0",
        "sentinel://psst",
        "sentinel://h/service/psst",
        "sentinel://h/a/b/psst",
    ],
)
def test_addresses_that_are_wrong(url):
    with pytest.raises(ConfigurationError) as caught:
        RedisServers(url)
    assert "psst" not in f"{caught.value}{caught.value.__cause__}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
def test_certificates_that_are_not_there(option):
    with pytest.raises(ConfigurationError, match="certificates"):
        RedisServers(f"rediss://localhost/0?{option}=/not/there")


# -- sockets ---------------------------------------------------------------------------------------


@pytest.fixture
def client():
    client = shared_server().client()
    yield client
    client.close()


def test_connections_have_sockets_of_gevent(client):
    connection = client._pool.make_connection()
    connection.connect()
    assert type(connection._sock) is gevent.socket.socket
    assert connection._sock.gettimeout() == 5.0
    connection.disconnect()


def test_a_connection_that_was_closed_meanwhile_is_replaced(client):
    ours = client.execute("CLIENT", "ID")
    other = shared_server().client()
    other.execute("CLIENT", "KILL", "ID", ours)
    other.close()
    assert client.execute("CLIENT", "ID") != ours


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def tls_server(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("tls")
    names = {name: str(path / name) for name in ("ca", "cert", "key")}
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(names["ca"])
    certificate.private_key_pem.write_to_path(names["key"])
    certificate.cert_chain_pems[0].write_to_path(names["cert"])
    options = ["--tls-cert-file", names["cert"], "--tls-key-file", names["key"]]
    with RedisServer(
        *options, "--port", "0", "--tls-ca-cert-file", names["ca"], tls=True
    ) as server:
        server.names = names
        server.url = f"rediss://localhost:{server.port}/0?ssl_ca_certs={names['ca']}"
        yield server


@pytest.fixture(scope="module")
def login(tls_server):
    """The server wants a certificate of its clients, too."""
    return f"&ssl_certfile={tls_server.names['cert']}&ssl_keyfile={tls_server.names['key']}"


def test_tls(tls_server, login):
    assert works(tls_server.url + login) is True


def test_tls_sockets_are_those_of_gevent(tls_server, login):
    client = RedisClient(RedisServers(tls_server.url + login))
    connection = client._pool.make_connection()
    connection.connect()
    assert type(connection._sock) is gevent.ssl.SSLSocket
    connection.disconnect()


def test_certificates_are_verified(tls_server, login, tmp_path):
    other = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with pytest.raises(StoreError, match=r"CERTIFICATE_VERIFY_FAILED.*check ssl_ca_certs"):
        works(tls_server.url.partition("?")[0] + f"?ssl_ca_certs={other}{login}")


def test_names_are_verified(tls_server, login):
    url = tls_server.url.replace("localhost", "127.0.0.1") + login
    with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED"):
        works(url)
    assert works(url + "&ssl_check_hostname=false") is True
    assert works(url + "&ssl_cert_reqs=none") is True


# -- several servers -------------------------------------------------------------------------------


@pytest.fixture
def sentinel():
    """Three servers: a master, its replica, and a sentinel."""
    with (
        RedisServer("--repl-diskless-sync-delay", "0") as master,
        RedisServer("--replicaof", "127.0.0.1", str(master.port)) as replica,
    ):
        path = os.path.join(master.directory, "sentinel.conf")
        with open(path, "w") as file:
            file.write(
                f"sentinel monitor service 127.0.0.1 {master.port} 1\n"
                "sentinel down-after-milliseconds service 300\n"
                "sentinel failover-timeout service 1000\n"
            )
        with RedisServer("--sentinel", before=[path]) as server:
            server.url = f"sentinel://127.0.0.1:{free_port()},127.0.0.1:{server.port}/service/0"
            server.master, server.replica = master, replica
            yield server


def test_sentinels_are_asked_for_the_master(sentinel):
    assert works(sentinel.url) is True
    replica = sentinel.replica.client()
    wait_until(lambda: b"link_status:up" in replica.execute("INFO", "replication"), 30)
    with RedisStore(sentinel.url, "test") as store:
        store.open(WORKER)
        admin = RedisClient(RedisServers(f"redis://127.0.0.1:{sentinel.port}"))
        wait_until(lambda: b"slaves=1" in admin.execute("INFO", "sentinel"), 30)
        sentinel.master.kill()
        wait_until(lambda: is_working(store), seconds=30)
        assert store._client._servers.locate() == ("127.0.0.1", sentinel.replica.port)
    for client in (replica, admin):
        client.close()


def is_working(store):
    try:
        store.renew(WORKER, ())
    except StoreError:
        return False
    return True


def test_no_sentinel_knows_the_service(sentinel):
    with pytest.raises(StoreError, match="does not know 'other'"):
        works(sentinel.url.replace("service", "other"))


def test_a_redis_cluster():
    options = ("--cluster-enabled", "yes")
    with RedisServer(*options) as one, RedisServer(*options) as two:
        clients = [one.client(), two.client()]
        clients[0].execute("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        clients[1].execute("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        clients[0].execute("CLUSTER", "MEET", "127.0.0.1", two.port)
        wait_until(
            lambda: all(b"state:ok" in client.execute("CLUSTER", "INFO") for client in clients), 30
        )
        assert works(one.url) is True
        assert works(two.url) is True
        keys = [client.execute("KEYS", "*") for client in clients]
        assert sorted(map(bool, keys)) == [False, True]
        for client in clients:
            client.close()


def test_a_node_that_is_gone_is_not_asked_again(client):
    client._servers.move("127.0.0.1", free_port())
    with pytest.raises(StoreError):
        client.execute("TIME")
    assert client.execute("TIME")


# -- what servers refuse ---------------------------------------------------------------------------


@pytest.fixture
def server():
    with RedisServer() as server:
        server.admin = server.client()
        yield server
        server.admin.close()


def test_nobody_listens():
    with pytest.raises(StoreError, match=r"redis://127.0.0.1:\d+/0: .*refused") as caught:
        works(f"redis://:psst@127.0.0.1:{free_port()}/0")
    assert not caught.value.is_lasting
    assert "psst" not in str(caught.value)


def test_a_replica_refuses(server):
    server.admin.execute("REPLICAOF", "127.0.0.1", free_port())
    with pytest.raises(StoreError, match="it is a replica"):
        works(server.url)


def test_no_memory_is_left(server):
    server.admin.execute("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreError, match="raise maxmemory"):
        works(server.url)


def test_a_disk_that_cannot_be_written_to(server):
    client = server.admin
    client.execute("CONFIG", "SET", "save", "1 1")
    os.rmdir(server.directory)
    os.mkdir(server.directory)  # not the one that the server has
    client.execute("SET", "a", "b")
    client.execute("BGSAVE")
    wait_until(lambda: b"rdb_last_bgsave_status:err" in client.execute("INFO", "persistence"))
    with pytest.raises(StoreError, match="cannot save to its disk"):
        works(server.url)


def test_a_user_who_may_not(server):
    client = server.admin
    client.execute("ACL", "SETUSER", "small", "on", ">psst", "~*", "+hello")
    with pytest.raises(StoreError, match=r"permissions to run.*must be allowed"):
        works(server.url.replace("//", "//small:psst@"))


@contextlib.contextmanager
def answers(answer):
    """Run a server that answers HELLO so."""

    def handle(sock, _):
        while request := sock.recv(4096):
            sock.sendall(answer if b"HELLO" in request else b"+OK\r\n" * request.count(b"CLIENT"))

    server = StreamServer(("127.0.0.1", 0), handle)
    server.start()
    yield f"redis://127.0.0.1:{server.server_port}"
    server.stop()


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        (b"*4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n6.0.9\r\n", "6.0.9"),
        (b"-ERR unknown command `HELLO`, with args beginning with: \r\n", "5"),
    ],
)
def test_a_server_that_is_too_old(answer, version):
    with answers(answer) as url, RedisStore(url, "test") as store:
        with pytest.raises(StoreError, match=f"Redis {version} is too old, 6.2") as caught:
            store.open(WORKER)
        assert caught.value.is_lasting


def test_a_server_that_is_loading():
    loading = b"-LOADING Redis is loading the dataset in memory\r\n"
    with answers(loading) as url, RedisStore(url, "test") as store:
        with pytest.raises(StoreError, match="will work soon") as caught:
            store.open(WORKER)
        assert not caught.value.is_lasting


def test_without_the_extra():
    code = """
        import sys
        sys.modules["redis"] = None
        from rtms_gevent.cluster import ClusterSettings
        from rtms_gevent.cluster.opening import make_store
        from rtms_gevent.errors import MissingExtra
        try:
            make_store(ClusterSettings(store="redis://localhost"), has_siblings=True)
        except MissingExtra as error:
            print(error.extra)
    """
    assert Script(code).finish()[0] == "redis"
