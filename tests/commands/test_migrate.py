"""MIGRATE: from each kind of server to the other, and to one that says what it is told to."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.commands.conftest import Connect
from tests.commands.test_debug import VALUES
from tests.conftest import SharedServer
from tests.servers import HAVE_ORACLE, Server, free_port, start_respcache
from tests.targets import Target, saying
from tests.wire import NOT_AN_INTEGER, OK, SYNTAX_ERROR, Error, Reply, Status, Verbatim, Wire, arity_error

BUSY = Error("ERR Target instance replied with error: BUSYKEY Target key name already exists.")
NO_PASSWORD = Error(
    "ERR Target instance replied with error: ERR AUTH <password> called without any password configured for the "
    "default user. Are you sure your configuration is correct?"
)
WRONG_PASSWORD = Error(
    "ERR Target instance replied with error: WRONGPASS invalid username-password pair or user is disabled."
)
NOT_CONNECTED = Error("IOERR error or timeout connecting to the client")
NOT_WRITTEN = Error("IOERR error or timeout writing to target instance")
NOT_READ = Error("IOERR error or timeout reading to target instance")

NO_KEY = Status("NOKEY")


@pytest.fixture(scope="module")
def second() -> Iterator[SharedServer]:
    """A server of ours to migrate to, where there is no oracle."""
    with start_respcache("--enable-debug-command", "yes") as server:
        yield SharedServer(server)


@pytest.fixture
def there(server: Server, request: pytest.FixtureRequest) -> Iterator[Wire]:
    """A connection to a server of the other kind."""
    name = "shared_respcache" if server.is_oracle else "shared_oracle" if HAVE_ORACLE else "second"
    shared: SharedServer = request.getfixturevalue(name)
    shared.reset()
    with Wire(shared.server.port) as wire:
        yield wire
        # What the server of the test keeps would have the next one wait for it to go.
        wire("CLIENT", "KILL", "TYPE", "normal")


class Move:
    """MIGRATE to a port: `move("k")`, `move("", "KEYS", "a", "b")`."""

    def __init__(self, c: Wire, port: int, timeout: int = 3000) -> None:
        self.c = c
        self.port = port
        self.timeout = timeout

    def __call__(self, key: str | bytes, *options: str | bytes, db: int | str = 0) -> Reply:
        return self.c("MIGRATE", "127.0.0.1", self.port, key, db, self.timeout, *options)


@pytest.fixture
def move(c: Wire, there: Wire) -> Move:
    """MIGRATE from the server of the test to the other one."""
    return Move(c, there.port)


def make(c: Wire, *keys: str) -> None:
    for key in keys:
        assert c("SET", key, f"value of {key}") == OK


def keys(c: Wire) -> list[bytes]:
    return sorted(c("KEYS", "*"))


# What is asked


def test_one_key(c: Wire, there: Wire, move: Move) -> None:
    make(c, "k", "other")
    assert move("k") == OK
    assert keys(c) == [b"other"]
    assert there("GET", "k") == b"value of k"
    assert there("PTTL", "k") == -1


def test_no_key(c: Wire, there: Wire, move: Move) -> None:
    assert move("k") == NO_KEY
    assert move("", "KEYS", "a", "b") == NO_KEY
    assert move("", "KEYS") == NO_KEY
    assert move("") == NO_KEY
    assert Move(c, free_port())("k") == NO_KEY


def test_the_empty_key(c: Wire, there: Wire, move: Move) -> None:
    c("SET", "", "v")
    assert move("") == OK
    assert (keys(c), keys(there)) == ([], [b""])
    c("SET", "", "w")
    assert move("", "REPLACE", "KEYS", "") == OK
    assert there("GET", "") == b"w"


def test_some_keys(c: Wire, there: Wire, move: Move) -> None:
    make(c, "a", "b", "c")
    assert move("", "KEYS", "a", "nothing", "c") == OK
    assert keys(c) == [b"b"]
    assert keys(there) == [b"a", b"c"]


def test_copy_and_replace(c: Wire, there: Wire, move: Move) -> None:
    make(c, "k")
    assert move("k", "COPY") == OK
    assert keys(c) == [b"k"]
    assert move("k", "copy") == BUSY
    c("SET", "k", "new")
    assert move("k", "Replace", "Copy") == OK
    assert there("GET", "k") == b"new"
    assert move("k", "REPLACE", "REPLACE") == OK
    assert keys(c) == []


def test_a_key_twice(c: Wire, there: Wire, move: Move) -> None:
    make(c, "a", "b")
    assert move("", "KEYS", "a", "b", "a") == BUSY
    assert (keys(c), keys(there)) == ([], [b"a", b"b"])
    make(c, "a", "b")
    assert move("", "REPLACE", "KEYS", "a", "b", "a") == OK
    assert (keys(c), keys(there)) == ([], [b"a", b"b"])


def test_databases(c: Wire, there: Wire, move: Move) -> None:
    c("SELECT", 3)
    for db in (5, 5, 0, 5):
        make(c, "k")
        assert move("k", "REPLACE", db=db) == OK
        assert c("DBSIZE") == 0
    for db in (0, 5):
        there("SELECT", db)
        assert there("GET", "k") == b"value of k"


def test_a_database_that_is_not_there(c: Wire, there: Wire, move: Move) -> None:
    make(c, "k")
    for _ in range(2):
        assert move("k", db=99) == Error(
            "ERR Target instance replied with error: ERR DB index is out of range"
        )
    assert keys(c) == [b"k"]
    assert move("k", "REPLACE") == OK  # its SELECT is sent again


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("k x 100", NOT_AN_INTEGER),
        ("k 0 x", NOT_AN_INTEGER),
        ("k 99999999999999999999 100", NOT_AN_INTEGER),
        ("k 0 99999999999999999999", NOT_AN_INTEGER),
        ("k 0 x nonsense", SYNTAX_ERROR),
        ("k 0 100 nonsense", SYNTAX_ERROR),
        ("k 0 100 AUTH", SYNTAX_ERROR),
        ("k 0 100 AUTH2", SYNTAX_ERROR),
        ("k 0 100 AUTH2 user", SYNTAX_ERROR),
        ("k 0 100 COPY KEYS a", Error(
            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
        )),
        ("k 0", arity_error("migrate")),
    ],
)  # fmt: skip
def test_errors(c: Wire, words: str, error: Error) -> None:
    assert c("MIGRATE", "127.0.0.1", 1, *words.split()) == error


def test_a_timeout_that_is_none(c: Wire, there: Wire) -> None:
    for timeout in (0, -5):
        make(c, "k")
        assert Move(c, there.port, timeout)("k", "REPLACE") == OK


# What arrives


@pytest.mark.parametrize("kind", VALUES)
def test_all_types(c: Wire, there: Wire, move: Move, kind: str, server: Server) -> None:
    for words in VALUES[kind]:
        assert not isinstance(c(*words), Error)
    before = c("DEBUG", "DIGEST-VALUE", "k")
    assert move("k") == OK
    assert keys(c) == []
    assert there("DEBUG", "DIGEST-VALUE", "k") == before


def test_times_to_live(c: Wire, there: Wire, move: Move) -> None:
    c("SET", "k", "v", "PX", 100_000)
    c("SET", "soon", "v", "PX", 20)
    time.sleep(0.03)
    assert move("", "KEYS", "k", "soon") == OK
    assert keys(c) == []
    assert keys(there) == [b"k"]
    assert 99_000 < there("PTTL", "k") <= 100_000


@pytest.mark.since("7.4")
def test_deadlines_of_fields(c: Wire, there: Wire, move: Move) -> None:
    c("HSET", "k", "f", "v")
    c("HPEXPIRE", "k", 100_000, "FIELDS", 1, "f")
    if isinstance(there("HPTTL", "k", "FIELDS", 1, "f"), Error):
        text = "ERR Target instance replied with error: ERR DUMP payload version or checksum are wrong"
        assert move("k") == Error(text)
        assert keys(c) == [b"k"]
        return
    assert move("k") == OK
    assert 99_000 < there("HPTTL", "k", "FIELDS", 1, "f")[0] <= 100_000


def test_big_values(c: Wire, there: Wire, move: Move) -> None:
    big = bytes(range(256)) * 8000
    c("SET", "big", big)
    c("RPUSH", "list", *[big[:9000]] * 50)
    make(c, "small")
    assert move("", "KEYS", "small", "big", "list") == OK
    assert there("GET", "big") == big
    assert there("LLEN", "list") == 50
    assert there("GET", "small") == b"value of small"
    assert keys(c) == []


def test_many_keys(c: Wire, there: Wire, move: Move) -> None:
    names = [f"key:{number}" for number in range(10_000)]
    c("MSET", *[word for name in names for word in (name, f"value of {name}")])
    assert move("", "KEYS", *names) == OK
    assert c("DBSIZE") == 0
    assert there("DBSIZE") == 10_000
    assert there("GET", "key:777") == b"value of key:777"


# What fails


def test_some_are_there_already(c: Wire, there: Wire, move: Move) -> None:
    make(there, "b")
    make(c, "a", "b", "c")
    assert move("", "KEYS", "a", "b", "c") == BUSY
    assert keys(c) == [b"b"]
    assert keys(there) == [b"a", b"b", b"c"]


def test_passwords(c: Wire, there: Wire, move: Move) -> None:
    make(c, "k")
    assert move("k", "COPY", "AUTH", "secret") == NO_PASSWORD
    assert move("k", "COPY", "AUTH2", "user", "secret") == WRONG_PASSWORD
    there("CONFIG", "SET", "requirepass", "secret")
    try:
        # the last one counts; AUTH after AUTH2 leaves the user
        assert move("k", "COPY", "REPLACE", "AUTH", "secret") == OK
        assert move("k", "COPY", "REPLACE", "AUTH2", "default", "secret") == OK
        assert move("k", "COPY", "REPLACE", "AUTH2", "default", "wrong", "AUTH", "secret") == OK
        assert move("k", "COPY", "REPLACE", "AUTH2", "user", "wrong", "AUTH", "secret") == WRONG_PASSWORD
        assert move("k", "REPLACE", "AUTH", "wrong") == WRONG_PASSWORD
        assert keys(c) == [b"k"]
        assert move("k", "REPLACE", "AUTH", "secret") == OK
    finally:
        there("CONFIG", "SET", "requirepass", "")


def test_nobody_is_there(c: Wire) -> None:
    make(c, "k")
    assert Move(c, free_port())("k") == NOT_WRITTEN
    assert c("MIGRATE", "127.0.0.1", "port", "k", 0, 100) == NOT_WRITTEN
    assert c("MIGRATE", "no.such.host.invalid", 6379, "k", 0, 100) == NOT_CONNECTED
    assert c("MIGRATE", "", 6379, "k", 0, 100) == NOT_CONNECTED
    assert keys(c) == [b"k"]


def deaf(link: socket.socket) -> None:
    time.sleep(0.4)


def closing(_link: socket.socket) -> None:
    """Closes the connection at once."""


SELECTED = b"+OK\r\n"
TOLD = "ERR Target instance replied with error: "


@pytest.mark.parametrize(
    ("answer", "reply", "left", "connections"),
    [
        pytest.param(deaf, NOT_READ, "abcd", 1, id="deaf"),
        pytest.param(closing, NOT_READ, "abcd", 2, id="closes at once"),
        pytest.param(saying(b""), NOT_READ, "abcd", 2, id="closes"),
        pytest.param(saying(SELECTED), NOT_READ, "abcd", 2, id="closes behind SELECT"),
        pytest.param(saying(SELECTED + b"+OK\r\n"), NOT_READ, "bcd", 1, id="closes behind a key"),
        pytest.param(saying(SELECTED + b"$3\r\n:1\r\n+fine"), NOT_READ, "cd", 1, id="other replies"),
        pytest.param(
            saying(SELECTED + b"+OK\r\n-ERR first\r\n-ERR second\r\n+OK\r\n"),
            Error(TOLD + "ERR first"), "bc", 1, id="errors",
        ),
        pytest.param(
            saying(SELECTED + b"-OOM no\r\n"), Error(TOLD + "OOM no"), "abcd", 1, id="an error, and closes"
        ),
        pytest.param(saying(b"-ERR no\r\n" + b"+OK\r\n" * 4), Error(TOLD + "ERR no"), "abcd", 1, id="SELECT"),
        pytest.param(saying(SELECTED + b"-\r\n" * 4), Error(TOLD), "abcd", 1, id="an empty error"),
        pytest.param(saying(SELECTED + b"-a\n" + b"b\n" * 3), Error(TOLD + "a"), "a", 1, id="LF alone"),
        pytest.param(saying(SELECTED + b"+OK\r\n" * 4), OK, "", 1, id="well"),
        pytest.param(saying(SELECTED + b"+OK\r\n" * 9), OK, "", 1, id="more than was asked for"),
    ],
)  # fmt: skip
def test_a_target_that_fails(
    c: Wire, answer: Callable[[socket.socket], None], reply: Reply, left: str, connections: int
) -> None:
    make(c, *"abcd")
    with Target(answer) as target:
        assert Move(c, target.port, 200)("", "KEYS", *"abcd") == reply
        assert keys(c) == [key.encode() for key in left]
        assert target.connections == connections


def test_a_copy_is_not_sent_again_either(c: Wire) -> None:
    make(c, *"ab")
    with Target(saying(SELECTED + b"+OK\r\n")) as target:
        assert Move(c, target.port)("", "COPY", "KEYS", *"ab") == NOT_READ
        assert target.connections == 1


# What others see


def test_inside_of_a_transaction(c: Wire, there: Wire, move: Move) -> None:
    make(there, "b")
    c("MULTI")
    for words in (
        ("MSET", "a", "1", "b", "2"),
        ("MIGRATE", "127.0.0.1", there.port, "", 0, 1000, "KEYS", "a", "b"),
    ):
        c(*words)
    c("EXISTS", "a", "b")
    assert c("EXEC") == [OK, BUSY, 1]
    assert there("GET", "a") == b"1"
    c("MULTI")
    c("MIGRATE", "127.0.0.1", free_port(), "b", 0, 1000)
    c("MIGRATE", "127.0.0.1", there.port, "b", 0, 1000, "REPLACE")
    c("MIGRATE", "127.0.0.1", there.port, "b", 0, 1000)
    assert c("EXEC") == [NOT_WRITTEN, OK, NO_KEY]
    assert there("GET", "b") == b"2"


def test_events(c: Wire, there: Wire, move: Move, connect: Connect) -> None:
    c("CONFIG", "SET", "notify-keyspace-events", "Eg")
    make(c, "a", "b", "c")
    listener = connect()
    listener("PSUBSCRIBE", "*")
    make(there, "b")
    assert move("", "KEYS", "a", "b", "c") == BUSY
    assert move("b", "COPY", "REPLACE") == OK
    c("DEL", "b")
    got = [listener.read() for _ in range(3)]
    assert [list(getattr(message, "items", message))[-1] for message in got] == [b"a", b"c", b"b"]


def test_statistics(c: Wire, there: Wire, move: Move) -> None:
    make(c, "a", "b")
    make(there, "b")
    c("CONFIG", "RESETSTAT")
    before = changes(c)
    move("", "KEYS", "a", "b", "c", "d")
    text = info(c, "everything")
    assert "keyspace_hits:2\r\nkeyspace_misses:2" in text
    assert "errorstat_ERR:count=1\r\n" in text
    line = text.split("cmdstat_migrate:")[1].split("\r\n")[0]
    assert line.startswith("calls=1,")
    assert line.endswith("rejected_calls=0,failed_calls=1")
    assert changes(c) == before + 1


def info(c: Wire, section: str) -> str:
    reply = c("INFO", section)
    return (reply.data if isinstance(reply, Verbatim) else reply).decode()


def changes(c: Wire) -> int:
    return int(info(c, "persistence").split("rdb_changes_since_last_save:")[1].split()[0])


def test_the_slow_log(c: Wire) -> None:
    make(c, "k")
    c("CONFIG", "SET", "slowlog-log-slower-than", 100_000)
    with Target(deaf) as target:
        assert Move(c, target.port, 150)("k", "AUTH", "secret") == NOT_READ
        [entry] = c("SLOWLOG", "GET")
    assert entry[2] >= 140_000
    assert entry[3][3:] == [b"k", b"0", b"150", b"AUTH", b"(redacted)"]


def test_secrets_are_not_shown(c: Wire, connect: Connect) -> None:
    watcher = connect(protocol=2)
    watcher("MONITOR")
    c("MIGRATE", "h", 1, "", 0, 1, "AUTH", "secret", "AUTH2", "user", "word", "KEYS", "auth", "x")
    line = str(watcher.read())
    assert line.count("(redacted)") == 3
    assert "secret" not in line
    assert '"auth" "x"' in line


def test_a_watched_key(c: Wire, move: Move, connect: Connect) -> None:
    other = connect()
    make(c, "k")
    other("WATCH", "k")
    assert move("k") == OK
    other("MULTI")
    assert other("EXEC") == other.null_array


def test_connections_are_kept(c: Wire) -> None:
    make(c, *"ab")

    def answer(link: socket.socket) -> None:
        link.recv(1 << 16)
        link.sendall(b"+OK\r\n+OK\r\n")
        link.recv(1 << 16)
        link.sendall(b"+OK\r\n")  # no SELECT comes this time
        time.sleep(0.1)

    with Target(answer) as target:
        move = Move(c, target.port)
        assert move("a", db=2) == OK
        assert move("b", db=2) == OK
        assert target.connections == 1
