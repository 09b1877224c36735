"""Connections to Redis that never block the hub, whether or not the process is patched.

redis-py connects with the sockets of the standard library. Its private hook ``_connect`` is the one
place where it makes them; here they are gevent's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ssl import CERT_NONE, CERT_REQUIRED
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from gevent import Timeout, socket, ssl
from gevent.lock import BoundedSemaphore

from ..errors import ConfigurationError, MissingExtra, StoreError

try:
    import redis
    from redis.connection import Connection, ConnectionPool
    from redis.exceptions import MovedError, RedisError, ResponseError
except ImportError as problem:
    raise MissingExtra("a store in Redis", "redis") from problem

__all__ = ["RedisClient", "RedisServers"]

#: Seconds for all steps of opening a connection but the first commands: names, TCP, TLS.
_CONNECT_TIMEOUT = 2.0
#: Seconds for the answer to a command.
_COMMAND_TIMEOUT = 5.0
#: Seconds for each step with a sentinel, since there are others.
_SENTINEL_TIMEOUT = 1.0

#: Connections of one client, so that many webhooks at once do not take all that the server has.
_MAX_CONNECTIONS = 20

_PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379}
#: What a URL may have behind the "?"; as redis-py names it.
_OPTIONS = {
    "client_name",
    "sentinel_password",
    "sentinel_username",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
    "ssl_password",
}
_FALSE = ("0", "f", "false", "n", "no")


class RedisServers:
    """Where a URL leads: to a server; or to the master that sentinels name."""

    def __init__(self, url: str) -> None:
        """Read a URL.

        Args:
            url: ``redis://user:password@host:6379/0``, ``rediss://...`` for TLS, or
                ``sentinel://user:password@host:26379,host2:26379/service/0``. Behind a "?":
                ``ssl_ca_certs`` and so on as redis-py has them, which mean TLS for sentinels, too;
                ``client_name``; ``sentinel_username`` and ``sentinel_password``.

        Raises:
            ConfigurationError: the URL cannot be used. No part of it is told: a password may be
                where nobody expects it.
        """
        try:
            parts = urlsplit(url)
            login, _, hosts = parts.netloc.rpartition("@")
            username, _, password = map(unquote, login.partition(":"))
            self._servers = [
                _host_and_port(host, _PORTS[parts.scheme]) for host in hosts.split(",")
            ]
            db, self._service = parts.path.lstrip("/"), ""
            if parts.scheme == "sentinel":
                self._service, _, db = db.partition("/")
                if not self._service:
                    raise ValueError("no service is named")
            elif len(self._servers) > 1:
                raise ValueError("several servers")
            given = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
            options = {"username": username, "password": password, "db": int(db or 0)}
        except (ValueError, KeyError):
            raise ConfigurationError(
                "the URL of Redis cannot be read: it must be like redis://:password@host:6379/0 or "
                "sentinel://:password@host:26379,host2:26379/service/0. Write what is special in a "
                "password as %40 and so on (urllib.parse.quote)"
            ) from None
        if not given.keys() <= _OPTIONS:
            raise ConfigurationError(
                f"the URL of Redis has an option that is not known; there are: {sorted(_OPTIONS)}"
            )
        if "client_name" in given:
            options["client_name"] = given["client_name"]
        self._tls = {name: value for name, value in given.items() if name.startswith("ssl_")}
        self._is_tls = bool(self._tls) or parts.scheme == "rediss"
        self._sentinel_login = {
            name.removeprefix("sentinel_"): value
            for name, value in given.items()
            if name.startswith("sentinel_")
        }
        #: Of every connection.
        self.options: dict[str, Any] = {name: value for name, value in options.items() if value}
        where = ",".join(f"{host}:{port}" for host, port in self._servers)
        service = f"/{self._service}" if self._service else ""
        #: What users may see of it.
        self.name = f"{parts.scheme}://{where}{service}/{options['db']}"
        self._moved: tuple[str, int] | None = None
        self.tls_context()  # so that wrong files are noticed now

    def __repr__(self) -> str:
        return f"<RedisServers {self.name}>"

    def locate(self) -> tuple[str, int]:
        """Return host and port of the server to use; asks sentinels, if there are.

        Raises:
            OSError: no sentinel knows one.
        """
        if self._moved is not None:
            return self._moved
        return self._ask_sentinels() if self._service else self._servers[0]

    def move(self, host: str, port: int) -> None:
        """Note that a node of a Redis Cluster names another one for our keys."""
        self._moved = (host or self.locate()[0], port)

    def move_back(self) -> None:
        """Begin again with what the URL says."""
        self._moved = None

    def _ask_sentinels(self) -> tuple[str, int]:
        problems = []
        for sentinel in list(self._servers):
            try:
                found = self._ask_sentinel(sentinel)
            except (RedisError, OSError) as problem:
                problems.append(str(problem))
                continue
            # The one that answers is asked first the next time: Sentinel's guide for clients.
            self._servers.remove(sentinel)
            self._servers.insert(0, sentinel)
            if found:
                return found[0].decode(), int(found[1])
            problems.append(f"{sentinel[0]}:{sentinel[1]} does not know {self._service!r}")
        raise OSError("no sentinel names the server: " + "; ".join(problems))

    def _ask_sentinel(self, sentinel: tuple[str, int]) -> list[bytes] | None:
        connection = GeventConnection(
            locate=lambda: sentinel,
            tls_context=self.tls_context,
            socket_timeout=_SENTINEL_TIMEOUT,
            socket_connect_timeout=_SENTINEL_TIMEOUT,
            protocol=2,
            **self._sentinel_login,
        )
        try:
            connection.connect()
            connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            answer: list[bytes] | None = connection.read_response()
            return answer
        finally:
            connection.disconnect()

    def tls_context(self) -> ssl.SSLContext | None:
        """Return what verifies and is verified; read anew each time, since files are renewed.

        Raises:
            ConfigurationError: a file or a value cannot be used.
        """
        if not self._is_tls:
            return None
        given = self._tls
        # Not create_default_context(): un-patched that returns the standard library's class, whose
        # sockets block the hub.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            verifies = given.get("ssl_cert_reqs", "required").lower() != "none"
            checks_name = given.get("ssl_check_hostname", "true").lower() not in _FALSE
            context.check_hostname = verifies and checks_name
            context.verify_mode = CERT_REQUIRED if verifies else CERT_NONE
            if "ssl_ca_certs" in given or "ssl_ca_path" in given:
                context.load_verify_locations(given.get("ssl_ca_certs"), given.get("ssl_ca_path"))
            else:
                context.load_default_certs()
            if "ssl_certfile" in given:
                context.load_cert_chain(
                    given["ssl_certfile"], given.get("ssl_keyfile"), given.get("ssl_password")
                )
        except OSError as problem:
            raise ConfigurationError(
                f"the certificates for Redis cannot be used: {problem}"
            ) from problem
        return context


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    parts = urlsplit(f"//[{text}]" if text.count(":") > 1 and "[" not in text else f"//{text}")
    if not parts.hostname:
        raise ValueError("no host")
    return parts.hostname, parts.port or default


class GeventConnection(Connection):
    """A connection of redis-py on a gevent socket."""

    def __init__(
        self,
        *,
        locate: Callable[[], tuple[str, int]],
        tls_context: Callable[[], ssl.SSLContext | None],
        **options: Any,
    ) -> None:
        self._locate = locate
        self._tls_context = tls_context
        super().__init__(**options)

    def _connect(self) -> socket.socket:
        self.host, self.port = self._locate()
        # One timer for all steps, since names and TLS have none of their own.
        with Timeout(self.socket_connect_timeout, TimeoutError("it did not answer in time")):
            sock = socket.create_connection((self.host, self.port))
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                context = self._tls_context()
                if context is not None:
                    # Where it was reset already, wrap_socket() would raise without closing it.
                    sock.getpeername()
                    # In two steps, so that a socket whose handshake fails gets closed too.
                    sock = context.wrap_socket(
                        sock, server_hostname=self.host, do_handshake_on_connect=False
                    )
                    sock.do_handshake()
            except BaseException:
                sock.close()
                raise
        sock.settimeout(self.socket_timeout)
        return sock


class RedisClient:
    """Sends commands, and returns the plain answers.

    Greenlet-safety: any greenlet of one hub. One that is killed while it waits takes its connection
    with it, since nobody would read the answer.
    """

    def __init__(self, servers: RedisServers, *, block: float = 0.0) -> None:
        """Connect to nothing yet.

        Args:
            servers: Where to connect.
            block: Seconds that commands may wait at the server.
        """
        self._servers = servers
        self._pool = ConnectionPool(
            connection_class=GeventConnection,
            locate=servers.locate,
            tls_context=servers.tls_context,
            socket_timeout=_COMMAND_TIMEOUT + block,
            socket_connect_timeout=_CONNECT_TIMEOUT,
            protocol=2,
            **servers.options,
        )
        self._redis = redis.Redis(connection_pool=self._pool)
        # They change from version to version of redis-py.
        self._redis.response_callbacks.clear()
        self._scripts: dict[str, Any] = {}
        self._is_closed = False
        # The pool of redis-py would raise, or block the hub.
        self._free = BoundedSemaphore(_MAX_CONNECTIONS)

    def execute(self, *arguments: str | bytes | float) -> Any:
        """Run a command, and return its answer: bytes, int, ``None``, or a list of such.

        Raises:
            StoreError: there is no answer that can be used; it may have been run, or not.
        """
        return self._call(lambda: self._redis.execute_command(*arguments))

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[str | float]) -> Any:
        """Run a script in Lua, and return its answer as :meth:`execute` does.

        Raises:
            StoreError: as for :meth:`execute`.
        """
        known = self._scripts.get(script)
        if known is None:
            known = self._scripts[script] = self._redis.register_script(script)
        return self._call(lambda: known(keys, arguments))

    def _call(self, function: Callable[[], Any]) -> Any:
        if not self._free.acquire(timeout=_COMMAND_TIMEOUT):
            raise StoreError(f"{self._servers.name}: no answer to {_MAX_CONNECTIONS} commands")
        try:
            try:
                return function()
            except ResponseError as problem:
                # A node of a Redis Cluster: "MOVED <slot> <host>:<port>". redis-py has taken the
                # first word off, or not; that depends on its version.
                text = str(problem).removeprefix("MOVED ")
                if not isinstance(problem, MovedError) and text == str(problem):
                    raise
                host, _, port = text.rpartition(" ")[2].rpartition(":")
                self._servers.move(host, int(port))
                self._pool.disconnect(inuse_connections=False)
                return function()
        except (RedisError, OSError, ConfigurationError) as problem:
            # Another server may have its place now: ask those that the URL names.
            self._servers.move_back()
            if _IS_REPLICA.search(str(problem)):
                self._pool.disconnect(inuse_connections=False)
            raise StoreError(f"{self._servers.name}: {_explain(problem)}") from problem
        finally:
            self._free.release()
            if self._is_closed:
                self._pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        """Close all connections; those on which somebody waits when the answer is there."""
        self._is_closed = True
        self._pool.disconnect(inuse_connections=False)


#: What a replica says that may have been the master until now.
_IS_REPLICA = re.compile("READONLY|read only replica", re.IGNORECASE)


def _explain(problem: Exception) -> str:
    """Return what went wrong, without a line break, and what to do where that is known."""
    text = " ".join(str(problem).split()) or type(problem).__name__
    for pattern, advice in _ADVICE.items():
        if pattern.search(text):
            return f"{text} ({advice})"
    return text


#: By what Redis or redis-py says.
_ADVICE = {
    re.compile(pattern, re.IGNORECASE): advice
    for pattern, advice in (
        (
            "invalid username-password|NOAUTH|Authentication required|WRONGPASS",
            "check user and password in the URL",
        ),
        ("NOPERM|no permissions", "the user must be allowed the commands and keys of the store"),
        (_IS_REPLICA.pattern, "it is a replica: give the address of the master, or of sentinels"),
        ("OOM|maxmemory", "it has no memory left: raise maxmemory"),
        ("MISCONF", "it cannot save to its disk"),
        ("LOADING", "it reads its data, and will work soon"),
        ("CERTIFICATE_VERIFY_FAILED", "check ssl_ca_certs in the URL"),
    )
}
