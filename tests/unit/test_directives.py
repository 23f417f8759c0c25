"""The table against a real redis-server: the same names, defaults, limits and error texts."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from respcache.config import Config, SetError
from respcache.directives import DIRECTIVES
from respcache.rewrite import rewrite

oracle_only = pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not on PATH")

# Names that the oracle, a 7.0, does not have: since 7.2, and since 7.4.
NEWER = {
    "locale-collate",
    "set-max-listpack-entries",
    "set-max-listpack-value",
    "cluster-announce-human-nodename",
}
NEWER |= {"hide-user-data-from-log", "max-new-connections-per-cycle", "max-new-tls-connections-per-cycle"}
NEWER |= {"server-cpulist", "bio-cpulist", "aof-rewrite-cpulist", "bgsave-cpulist"}

# Other values than the oracle's, each for a reason.
DIFFERENT = {
    "port": "the oracle was given a free one",
    "dir": "the oracle's own",
    "enable-protected-configs": "on for these tests",
    "enable-debug-command": "local: our users are test suites",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Oracle:
    """A redis-server on a configuration file of its own."""

    def __init__(self, directory: Path, text: str) -> None:
        self.path = directory / "redis.conf"
        self.port = free_port()
        self.path.write_text(text.replace("PORT", str(self.port)))
        self.process = subprocess.Popen(
            ["redis-server", str(self.path)],
            cwd=directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.client = redis.Redis(port=self.port, protocol=2, decode_responses=True)
        for _ in range(200):
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.02)
        self.stop()
        raise AssertionError("the oracle does not start")

    def stop(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()

    def run(self, *words: str) -> Any:
        return self.client.execute_command(*words)  # type: ignore[no-untyped-call]

    def get(self, pattern: str) -> dict[str, str]:
        found: list[str] = self.run("CONFIG", "GET", pattern)
        return dict(zip(found[::2], found[1::2], strict=True))

    def set(self, *pairs: str) -> str:
        try:
            self.run("CONFIG", "SET", *pairs)
        except redis.ResponseError as error:
            return "ERR " + str(error).removeprefix("ERR ")
        return "OK"


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    server = Oracle(tmp_path_factory.mktemp("oracle"), 'port PORT\nsave ""\nenable-protected-configs yes\n')
    yield server
    server.stop()


@pytest.fixture
def config() -> Config:
    fresh = Config(DIRECTIVES)
    fresh.load({"enable_protected_configs": True, "save": ""})
    return fresh


def change(config: Config, *pairs: str) -> str:
    try:
        config.set_many(list(zip(pairs[::2], pairs[1::2], strict=True)))
    except SetError as error:
        return error.text.decode("utf-8", "surrogateescape")
    return "OK"


def everything(config: Config) -> dict[str, str]:
    return config.match(b"*", lambda pattern: lambda name: True)


@oracle_only
def test_names_and_defaults(oracle: Oracle, config: Config) -> None:
    theirs, ours = oracle.get("*"), everything(config)
    assert theirs.keys() <= ours.keys()
    assert ours.keys() - theirs.keys() == NEWER
    assert {name for name in theirs if theirs[name] != ours[name]} <= DIFFERENT.keys()


BAD = [
    "foo1",
    "",
    "-9999999999999999999",
    "-99999999999999999",
    "9223372036854775808",
    "1k",
    "1 2",
    "01",
    "yes ",
]
# What the server itself refuses or survives badly, not the table: sockets, passwords, the jemalloc at hand.
APPLIED = {"bind", "port", "requirepass", "activedefrag", "maxclients", "dir", "tls-port", "watchdog-period"}
MUTABLE = sorted(name for name, row in DIRECTIVES.items() if row.mutable and name not in NEWER | APPLIED)


@oracle_only
@pytest.mark.parametrize("name", MUTABLE)
def test_bad_values(oracle: Oracle, config: Config, name: str) -> None:
    before = oracle.get(name)[name]
    for value in BAD:
        if (name, value) == ("maxmemory-clients", "9223372036854775808"):
            continue  # Redis takes it for a negative number, that is, a percentage
        if name == "cluster-announce-ip" and value:
            continue  # Redis takes anything, and then cannot read its nodes.conf
        assert change(config, name, value) == oracle.set(name, value), value
        assert config.get_text(name) == oracle.get(name)[name], value
    oracle.set(name, before)


VALUES = {
    "auto-aof-rewrite-min-size": "1k 1kb 1K 1m 2Mb 1g 1b 1.5g +1 -1 1t 0x10 010 kb",
    "timeout": "+5 0 -0 1_0 5.0 5",
    "hz": "0 1 500 1000 -1",
    "repl-backlog-size": "1 0 20000 1gb",
    "dynamic-hz": "YES No TRUE 1",
    "appendfsync": "EVERYSEC Always never",
    "maxmemory-policy": "allkeys-LFU allkeys-ttl",
    "maxmemory": "18446744073709551615 18446744073709551616 3gb 0",
    "maxmemory-clients": "10% 100% 101% 0% -1% 10%% % 1000000000000000% 10mb 1.5%",
    "notify-keyspace-events": "KEA AKE Elg KEg$lshzxetdmn A K Kn nmK $ KEAmn Kt q",
    "dbfilename": "a/b ok.rdb",
    "cluster-announce-hostname": "a_b host.name-1",
    "proc-title-template": "{foo} {title plain {title}{port}",
    "slowlog-log-slower-than": "-1 -2 0",
    "list-max-listpack-size": "-5 -2147483649 2147483648",
}
SENTENCES = {
    "save": [
        "",
        "900 1",
        "900 1 300 10",
        "900",
        "0 1",
        "900 -1",
        "900 0",
        "900 x",
        " 900  1 ",
        "+9 1",
        "900  1",
    ],
    "client-output-buffer-limit": [
        *("normal 1kb 2mb 3", "slave 1 2 3", "replica 4 5 6 pubsub 1 2 3", "master 1 2 3", "normal x 2 3"),
        *("normal 1 2 x", "normal 1 2", "NORMAL 7 7 7", "normal -1 2 3", "normal 1 2 -3", ""),
    ],
    "oom-score-adj-values": [
        "1 2 3",
        "0 0",
        "0 200 2001",
        "-2001 0 0",
        "3 2 1",
        "a b c",
        "-5 0 5",
        "0  200 800",
    ],
    "latency-tracking-info-percentiles": [
        *("", "50", "50 60.5 99.999", "0 100", "101", "a", "50  60", "1e1", "99.99999", "5 4", "-1", "0.1"),
    ],
    "dbfilename": ["a b", ""],
}


@oracle_only
@pytest.mark.parametrize(
    ("name", "values"), [*((name, text.split()) for name, text in VALUES.items()), *SENTENCES.items()]
)
def test_values(oracle: Oracle, config: Config, name: str, values: list[str]) -> None:
    before = oracle.get(name)[name]
    for value in values:
        assert change(config, name, value) == oracle.set(name, value), value
        assert config.get_text(name) == oracle.get(name)[name], value
    oracle.set(name, before)


@oracle_only
@pytest.mark.parametrize(
    "text",
    [
        *("databases 1 foo bar", "foo bar databases 1", "hz 10 hz 11", "hz zz foo bar", "hz zz databases 3"),
        *("slaveof 1", "slave-priority 1 replica-priority 2", "HZ zz", "FOO zz", "hz zz timeout yy"),
        *("databases 1 port foo hz 2 hz 2", "hz 2 hz 2 databases 1", "foo 1 foo2 1", "SLAVE-PRIORITY zz"),
        *("maxmemory-samples 5 dir /none", "hz 7 timeout x"),
    ],
)
def test_order_of_complaints(oracle: Oracle, config: Config, text: str) -> None:
    assert change(config, *text.split()) == oracle.set(*text.split())
    assert config.get_text("hz") == oracle.get("hz")["hz"]
    oracle.set("hz", "10", "replica-priority", "100")


def test_protected_directives_need_permission() -> None:
    config = Config(DIRECTIVES)
    refused = "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"
    assert change(config, "dir", ".") == refused
    config.load({"enable-protected-configs": "local"})
    assert change(config, "dir", ".") == "OK"
    with pytest.raises(SetError):
        config.set_many([("dir", ".")], local=False)


REWRITES = {
    "in place": (
        "# head\n\n# c1\nmaxmemory 100mb\nhz 10\n#x\ntimeout 5\n\n\n",
        ["maxmemory 3221225472", "hz 20"],
    ),
    "back to default": ("timeout 5\n", ["timeout 0"]),
    "appended": (
        "",
        ["maxmemory 1500", "appendfsync always", "notify-keyspace-events KEA", "maxmemory-clients 5%"],
    ),
    "quoted": ("masteruser a\n", ['masterauth x"\\y', "masteruser \x01"]),
    "lists": ("", ["oom-score-adj-values 1 2 3", "latency-tracking-info-percentiles 50 60"]),
    "save lines": ("save 900 1\n# between\nsave 300 10\nsave 60 5\nslave-read-only no\n", ["save 10 1"]),
    "save in one line": ("save 900 1 60 5\n", []),
    "save never": ("", ["save "]),
    "save no more": ("save 900 1\n", ["save "]),
    "save again": ('save ""\n', ["save 900 1"]),
    "limits": (
        "client-output-buffer-limit slave 1mb 2mb 3\n",
        ["client-output-buffer-limit normal 1k 1mb 3"],
    ),
    "more limits": (
        "client-output-buffer-limit normal 1 2 3 pubsub 3 4 5\nclient-output-buffer-limit replica 1 1 1\n"
        "client-output-buffer-limit normal 9 9 9\n#\n   # indented\n",
        [],
    ),
    "duplicates": ("hz 5\nhz 30\ntimeout 2\n", ["hz 12"]),
    "empty texts": (
        'logfile ""\nmasterauth ""\nsyslog-ident ""\nnotify-keyspace-events ""\npidfile ""\n',
        [],
    ),
    "defaults stated": (
        "bind * -::*\nunixsocketperm 0\nmaxmemory 0\nmaxmemory-clients 0\ndaemonize no\n",
        [],
    ),
    "odd spelling": ("MaxMemory 5\nloglevel NOTICE\nunixsocketperm 0700\n  hz   11   \n", []),
    "alias": ("hash-max-ziplist-entries 5\nreplica-priority 5\n", ["slave-priority 6"]),
    "obsolete": ("list-max-ziplist-entries 3\n", []),
    "renamed": ('rename-command FLUSHALL ""\nrename-command FLUSHDB xyz\n', []),
    "own mark": ("# Generated by CONFIG REWRITE\nhz 12\n", ["timeout 3"]),
    "no newline": ("hz 12", ["timeout 3"]),
    "include": ("include other.conf\nhz 12\n", ["timeout 3"]),
}


@oracle_only
@pytest.mark.parametrize("case", REWRITES)
def test_rewrite(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, changes = REWRITES[case]
    (tmp_path / "other.conf").write_text("tcp-keepalive 7\nmaxclients 50\n")
    server = Oracle(tmp_path, "port PORT\nbind 127.0.0.1\n" + text)
    try:
        monkeypatch.chdir(tmp_path)
        before = server.path.read_text()
        config = Config(DIRECTIVES)
        config.load_file("redis.conf")
        for each in changes:
            pair = each.split(" ", 1)
            assert change(config, *pair) == server.set(*pair) == "OK"
        for _ in range(2):  # the second time must find its own work
            server.run("CONFIG", "REWRITE")
            before = rewrite(before, config, ["default on nopass ~* &* +@all"])
            kept, added = split_added(before)
            theirs, their_added = split_added(server.path.read_text())
            assert kept == theirs
            assert sorted(added) == sorted(their_added)  # Redis appends in the order of a hash table
    finally:
        server.stop()


def split_added(text: str) -> tuple[str, list[str]]:
    kept, _, added = text.partition("# Generated by CONFIG REWRITE\n")
    return kept, added.split("\n")


def test_the_stock_files_of_redis_load() -> None:
    stock = Path("/etc/redis/redis.conf")
    if not stock.exists():
        pytest.skip("no stock redis.conf here")
    try:
        text = stock.read_bytes()
    except PermissionError:
        pytest.skip("the stock redis.conf is not ours to read")
    config = Config(DIRECTIVES)
    config.load_text(re.sub(rb"(?m)^dir .*$", b"dir .", text), "redis.conf")
    assert config.bind == ("127.0.0.1", "-::1")


def test_save_points_by_default() -> None:
    assert Config(DIRECTIVES).get_text("save") == "3600 1 300 100 60 10000"


def test_every_default_reads_and_prints(config: Config) -> None:
    for name, row in DIRECTIVES.items():
        assert row.name == name
        text = config.get_text(name)
        if name != "replicaof":
            assert row.kind.show(row.parse_text(text, config.value(name))) == text, name


def test_what_is_secret() -> None:
    assert {name for name, row in DIRECTIVES.items() if row.sensitive} == {
        *("requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass")
    }
