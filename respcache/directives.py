"""The directives of redis.conf: the types they have, and the table of all of them.

Names, defaults, limits and error texts are those of Redis 7.4, read off a 7.0.15 server where it has them.
Directives about things that do not exist here (jemalloc, I/O threads, CPU lists, TLS, ...) are accepted, kept
and given back, so that any stock redis.conf loads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from respcache.config import Directive, Kind, quote

_INT, _LONG = 2**31 - 1, 2**63 - 1
_INTEGER = re.compile(r"-?[1-9][0-9]{0,18}|0")
_MEMORY = re.compile(r"([0-9]*)(b|k|kb|m|mb|g|gb)?", re.IGNORECASE)
_UNITS = {"b": 1, "k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}
_ALL_EVENTS = "g$lshzxetd"
_EVENTS = _ALL_EVENTS + "nKEm"

Lines = list[tuple[str, bool]]


def parse_memory(text: str, reason: str = "argument must be a memory value") -> int:
    """Bytes of `64mb`, `1k` (1000), `1kb` (1024), at most 2**64 - 1; nothing is 0. ValueError(reason)."""
    found = _MEMORY.fullmatch(text)
    if found is None:
        raise ValueError(reason)
    return min(int(found[1][:40] or "0") * _UNITS[(found[2] or "b").lower()], 2**64 - 1)


def show_memory(size: int) -> str:
    """The shortest exact form with a binary unit: `1gb`, `1500`, `64mb`."""
    for unit in ("gb", "mb", "kb"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


# The kinds follow the protocol `config.Kind`; each says what its values look like.


class _Single:
    """One word, and a value that prints as `str` does."""

    multi = False
    appends = False

    def show(self, value: Any) -> str:
        return str(value)

    def lines(self, value: Any, default: Any) -> Lines:
        return [(self.show(value), value != default)]


class _YesNo(_Single):
    """A bool."""

    def parse(self, words: Sequence[str], old: Any) -> object:
        if words[0].lower() not in ("yes", "no"):
            raise ValueError("argument must be 'yes' or 'no'")
        return words[0].lower() == "yes"

    def show(self, value: Any) -> str:
        return "yes" if value else "no"


@dataclass(frozen=True)
class _Number(_Single):
    """An int from `low` to `high`; what is allowed but of no use is pulled into `clamp` without a word."""

    low: int
    high: int
    clamp: tuple[int, int] | None = None

    def _read(self, text: str) -> int:
        if not _INTEGER.fullmatch(text) or not -_LONG - 1 <= int(text) <= _LONG:
            raise ValueError("argument couldn't be parsed into an integer")
        return int(text)

    def parse(self, words: Sequence[str], old: Any) -> object:
        value = self._read(words[0])
        if not self.low <= value <= self.high:
            raise ValueError(f"argument must be between {self.low} and {self.high} inclusive")
        return value if self.clamp is None else min(max(value, self.clamp[0]), self.clamp[1])


class _Memory(_Number):
    """An int, bytes. CONFIG GET prints it without a unit, CONFIG REWRITE with one."""

    def _read(self, text: str) -> int:
        return parse_memory(text)

    def lines(self, value: Any, default: Any) -> Lines:
        return [(show_memory(value), value != default)]


class _MemoryOrPercent(_Single):
    """An int: bytes, or `5%` as -5."""

    def parse(self, words: Sequence[str], old: Any) -> object:
        if not re.fullmatch("[0-9]+%", words[0]):
            return parse_memory(words[0], "argument must be a memory or percent value")
        if int(words[0][:20].rstrip("%")) > 100:
            raise ValueError("percentage argument must be less or equal to 100")
        return -int(words[0][:-1])

    def show(self, value: Any) -> str:
        return f"{-value}%" if value < 0 else str(value)

    def lines(self, value: Any, default: Any) -> Lines:
        return [(self.show(value) if value < 0 else show_memory(value), value != default)]


class _Choice(_Single):
    """One of these words, in lower case."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def parse(self, words: Sequence[str], old: Any) -> object:
        if words[0].lower() not in self.words:
            raise ValueError(f"argument(s) must be one of the following: {', '.join(self.words)}")
        return words[0].lower()


@dataclass(frozen=True)
class _Text(_Single):
    """A str. `optional`: empty means not given, such a line goes. `refuse`: patterns and reasons."""

    optional: bool = False
    refuse: tuple[tuple[str, str], ...] = ()

    def parse(self, words: Sequence[str], old: Any) -> object:
        for pattern, reason in self.refuse:
            if re.search(pattern, words[0]):
                raise ValueError(reason)
        return words[0]

    def lines(self, value: Any, default: Any) -> Lines:
        return [] if self.optional and not value else [(quote(self.show(value)), value != default)]


class _Directory(_Text):
    """A str: the absolute path of a directory that exists.

    redis-server changes its working directory. An embedded server must not, so paths are joined to this one.
    """

    def parse(self, words: Sequence[str], old: Any) -> object:
        try:
            os.scandir(words[0]).close()
        except OSError as error:
            raise ValueError(error.strerror) from None
        return os.path.abspath(words[0])

    def lines(self, value: Any, default: Any) -> Lines:
        return super().lines(value, None)  # always: the next start may be in another directory


class _Octal(_Single):
    """An int: a file mode."""

    def parse(self, words: Sequence[str], old: Any) -> object:
        if not re.fullmatch(r"0*[0-7]{1,3}", words[0]):
            raise ValueError("argument couldn't be parsed as an octal number")
        return int(words[0], 8)

    def show(self, value: Any) -> str:
        return f"{value:o}"


class _Events(_Text):
    """A str: the letters of `_EVENTS`, in that order, with `A` spelled out."""

    def parse(self, words: Sequence[str], old: Any) -> object:
        letters = words[0].replace("A", _ALL_EVENTS)
        if not set(letters) <= set(_EVENTS):
            raise ValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        return "".join(letter for letter in _EVENTS if letter in letters)

    def show(self, value: Any) -> str:
        others = str(value).removeprefix(_ALL_EVENTS)
        return others if others == value else "A" + others.replace("n", "")  # `A` swallows `n`, as in Redis


@dataclass(frozen=True)
class _Words(_Single):
    """A tuple that `read` makes of the words. CONFIG REWRITE may `always` write it, or `drop` a default."""

    read: Callable[[Sequence[str]], tuple[object, ...]]
    always: bool = False
    drop: bool = False
    multi = True

    def parse(self, words: Sequence[str], old: Any) -> object:
        return self.read(words if list(words) != [""] else ())

    def show(self, value: Any) -> str:
        return " ".join(f"{each:.15g}" if isinstance(each, float) else str(each) for each in value)

    def lines(self, value: Any, default: Any) -> Lines:
        gone = self.drop and value == default
        return [] if gone else [(self.show(value) or '""', self.always or value != default)]


class _SavePoints(_Words):
    """((seconds, changes), ...); none means never. Lines of a file add up until one is empty."""

    appends = True

    def parse(self, words: Sequence[str], old: Any) -> object:
        points = self.read(words if list(words) != [""] else ())
        return (*old, *points) if points else ()

    def show(self, value: Any) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def lines(self, value: Any, default: Any) -> Lines:
        return [(self.show((point,)), True) for point in value] or [('""', True)]


class _OutputLimits(_Words):
    """((class, (hard, soft, seconds)), ...) for normal, replica and pubsub; sizes in bytes."""

    def parse(self, words: Sequence[str], old: Any) -> object:
        return tuple((dict(old) | dict(self.read(words))).items())  # type: ignore[arg-type]

    def show(self, value: Any) -> str:
        # CONFIG GET still has the old name of the replicas' class.
        return " ".join(f"{name} {a} {b} {c}" for name, (a, b, c) in value).replace("replica", "slave")

    def lines(self, value: Any, default: Any) -> Lines:
        shown = (f"{name} {show_memory(hard)} {show_memory(soft)} {s}" for name, (hard, soft, s) in value)
        return [(text, limit not in default) for text, limit in zip(shown, value, strict=True)]


def _addresses(words: Sequence[str]) -> tuple[object, ...]:
    if len(words) > 16:
        raise ValueError("Too many bind addresses specified.")
    return tuple(words)


def _integers(words: Sequence[str], reason: str) -> list[int]:
    # Stricter than int(): no blanks, no underscores.
    if not all(re.fullmatch(r"[+-]?[0-9]{1,19}", word) for word in words):
        raise ValueError(reason)
    return [int(word) for word in words]


def _save_points(words: Sequence[str]) -> tuple[object, ...]:
    numbers = _integers(words, "Invalid save parameters")
    points = tuple(zip(numbers[::2], numbers[1::2], strict=False))
    if len(numbers) % 2 or any(seconds < 1 or changes < 0 for seconds, changes in points):
        raise ValueError("Invalid save parameters")
    return points


def _limits(words: Sequence[str]) -> tuple[object, ...]:
    if len(words) % 4:
        raise ValueError("Wrong number of arguments in buffer limit configuration.")
    reason, limits = "Error in hard, soft or soft_seconds setting in buffer limit configuration.", []
    for at in range(0, len(words), 4):
        name = {"slave": "replica"}.get(words[at].lower(), words[at].lower())
        if name not in ("normal", "replica", "pubsub"):
            raise ValueError("Invalid client class specified in buffer limit configuration.")
        hard, soft = parse_memory(words[at + 1], reason), parse_memory(words[at + 2], reason)
        (seconds,) = _integers(words[at + 3 : at + 4], reason)
        if seconds < 0:
            raise ValueError(reason)
        limits.append((name, (hard, soft, seconds)))
    return tuple(limits)


def _oom_scores(words: Sequence[str]) -> tuple[object, ...]:
    if len(words) != 3:
        raise ValueError("wrong number of arguments")
    reason = "Invalid oom-score-adj-values, elements must be between -2000 and 2000."
    scores = tuple(_integers(words, reason))
    if not all(-2000 <= score <= 2000 for score in scores):
        raise ValueError(reason)
    return scores


def _percentiles(words: Sequence[str]) -> tuple[object, ...]:
    name = "latency-tracking-info-percentiles"
    try:
        values = tuple(float(word) for word in words)
    except ValueError:
        raise ValueError(f"Invalid {name} parameters") from None
    if not all(0 <= value <= 100 for value in values):
        raise ValueError(f"{name} parameters should sit between [0.0,100.0]")
    return values


def _master(words: Sequence[str]) -> tuple[object, ...]:
    if len(words) != 2:
        raise ValueError("wrong number of arguments")
    if [word.lower() for word in words] == ["no", "one"]:
        return ()
    if not re.fullmatch("[0-9]{1,5}", words[1]) or int(words[1]) > 65535:
        raise ValueError("Invalid master port")
    return words[0], int(words[1])


def _rows(kind: Kind, names: str, mutable: bool = True, protected: bool = False) -> list[Directive]:
    """Directives of one kind, each written `name=default` or `name|alias=default`."""
    pairs = (item.split("=") for item in names.split())
    rows = ((*name.partition("|"), default) for name, default in pairs)
    return [Directive(name, kind, text, alias or None, mutable, protected) for name, _, alias, text in rows]


def _file_name(name: str, what: str = "filename") -> _Text:
    return _Text(False, (("/", f"{name} can't be a path, just a {what}"), ("^$", f"{name} can't be empty")))


_BOOL, _TEXT, _MAYBE = _YesNo(), _Text(), _Text(optional=True)
_FROM_0, _FROM_1, _COUNT, _PORT = _Number(0, _INT), _Number(1, _INT), _Number(0, _LONG), _Number(0, 65535)
_SIZE, _SIZE_FROM_1, _BUFFER = _Memory(0, _LONG), _Memory(1, _LONG), _Memory(2**20, _LONG)
_ALLOWED, _SHUTDOWN = _Choice("no", "yes", "local"), _Choice("default", "save", "nosave", "now", "force")
_HOST_NAME = ((r"[^A-Za-z0-9.-]", "Hostnames may only contain alphanumeric characters, hyphens or dots"),)
_NODE_NAME = ((r"[^\x21-\x7e]|[\"'\\]", "Announced human node name contained invalid character"),)
_TITLE = r"^$|\{(?!(title|listen-addr|server-mode|port|tls-port|unixsocket|config-file)\})"
_BAD_TITLE = ((_TITLE, "template format is invalid or contains unknown variables"),)
_POLICIES = [f"{who}-{how}" for who in ("volatile", "allkeys") for how in ("lru", "lfu", "random", "ttl")]
_POLICIES[-1] = "noeviction"  # there is no allkeys-ttl
_LIMITS = "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60"

_TABLE: list[Directive] = [
    # Network and clients
    Directive("bind", _Words(_addresses, drop=True), "* -::*"),
    *_rows(_PORT, "port=6379 tls-port=0"),
    *_rows(_MAYBE, "bind-source-addr= masteruser= masterauth= requirepass= cluster-announce-ip="),
    *_rows(_Octal(), "unixsocketperm=0", mutable=False),
    *_rows(_BOOL, "protected-mode=yes"),
    *_rows(_FROM_0, "tcp-backlog=511", mutable=False),
    *_rows(_FROM_0, "tcp-keepalive=300 timeout=0"),
    *_rows(_Number(0, 2**32 - 1), "socket-mark-id=0", mutable=False),
    *_rows(_Number(1, 2**32 - 1), "maxclients=10000"),
    *_rows(_Number(1, 1000), "max-new-connections-per-cycle=10 max-new-tls-connections-per-cycle=1"),
    Directive("client-output-buffer-limit", _OutputLimits(_limits), _LIMITS),
    *_rows(_BUFFER, "client-query-buffer-limit=1gb proto-max-bulk-len=512mb"),
    *_rows(_MemoryOrPercent(), "maxmemory-clients=0"),
    # The process
    *_rows(_BOOL, "daemonize=no always-show-logo=no syslog-enabled=no io-threads-do-reads=no", mutable=False),
    *_rows(_BOOL, "disable-thp=yes set-proc-title=yes rdbchecksum=yes cluster-enabled=no", mutable=False),
    *_rows(_Number(1, 128), "io-threads=1", mutable=False),
    *_rows(_FROM_1, "databases=16", mutable=False),
    *_rows(_Choice("upstart", "systemd", "auto", "no"), "supervised=no", mutable=False),
    *_rows(_Choice("debug", "verbose", "notice", "warning"), "loglevel=notice"),
    *_rows(_MAYBE, "pidfile=", mutable=False),
    *_rows(_TEXT, "logfile= aclfile= syslog-ident=redis cluster-config-file=nodes.conf", mutable=False),
    *_rows(_Choice("user", *(f"local{n}" for n in range(8))), "syslog-facility=local0", mutable=False),
    *_rows(_Directory(), "dir=.", protected=True),
    Directive("proc-title-template", _Text(False, _BAD_TITLE), "{title} {listen-addr} {server-mode}"),
    *_rows(_TEXT, "ignore-warnings= locale-collate="),
    *_rows(_MAYBE, "unixsocket= server-cpulist|server_cpulist= bio-cpulist|bio_cpulist=", mutable=False),
    *_rows(_MAYBE, "aof-rewrite-cpulist|aof_rewrite_cpulist= bgsave-cpulist|bgsave_cpulist=", mutable=False),
    # Redis says no to DEBUG. Local here: our users are test suites, and many of those lean on it.
    *_rows(_ALLOWED, "enable-debug-command=local enable-module-command=no", mutable=False),
    *_rows(_ALLOWED, "enable-protected-configs=no", mutable=False),
    *_rows(_BOOL, "crash-log-enabled=yes crash-memcheck-enabled=yes jemalloc-bg-thread=yes dynamic-hz=yes"),
    *_rows(_BOOL, "activerehashing=yes latency-tracking=yes activedefrag=no hide-user-data-from-log=no"),
    *_rows(_Number(0, _INT, (1, 500)), "hz=10"),
    Directive("watchdog-period", _FROM_0, "0", hidden=True),
    *_rows(_SHUTDOWN, "shutdown-on-sigint=default shutdown-on-sigterm=default"),
    *_rows(_Choice("no", "yes", "relative", "absolute"), "oom-score-adj=no"),
    Directive("oom-score-adj-values", _Words(_oom_scores), "0 200 800"),
    *_rows(_Number(-1, _LONG), "slowlog-log-slower-than=10000"),
    *_rows(_COUNT, "slowlog-max-len=128 acllog-max-len=128 latency-monitor-threshold=0"),
    Directive("latency-tracking-info-percentiles", _Words(_percentiles, always=True), "50 99 99.9"),
    *_rows(_COUNT, "busy-reply-threshold|lua-time-limit=5000"),
    *_rows(_Choice("allchannels", "resetchannels"), "acl-pubsub-default=resetchannels"),
    *_rows(_Events(), "notify-keyspace-events="),
    # Memory and the sizes of compact encodings
    *_rows(_Memory(0, 2**64 - 1), "maxmemory=0 cluster-link-sendbuf-limit=0"),
    *_rows(_Choice(*_POLICIES), "maxmemory-policy=noeviction"),
    *_rows(_FROM_1, "maxmemory-samples=5"),
    *_rows(_Number(0, 100), "maxmemory-eviction-tenacity=10"),
    *_rows(_FROM_0, "lfu-decay-time=1 lfu-log-factor=10 list-compress-depth=0 shutdown-timeout=10"),
    *_rows(_Number(1, 10), "active-expire-effort=1"),
    *_rows(_Number(1, 99), "active-defrag-cycle-min=1 active-defrag-cycle-max=25"),
    *_rows(_Number(0, 1000), "active-defrag-threshold-lower=10 active-defrag-threshold-upper=100"),
    *_rows(_Number(1, _LONG), "active-defrag-max-scan-fields=1000"),
    *_rows(_SIZE_FROM_1, "active-defrag-ignore-bytes=100mb"),
    *_rows(_BOOL, "lazyfree-lazy-eviction=no lazyfree-lazy-expire=no lazyfree-lazy-server-del=no"),
    *_rows(_BOOL, "lazyfree-lazy-user-del=no lazyfree-lazy-user-flush=no"),
    *_rows(_COUNT, "hash-max-listpack-entries|hash-max-ziplist-entries=512 set-max-intset-entries=512"),
    *_rows(_COUNT, "zset-max-listpack-entries|zset-max-ziplist-entries=128 set-max-listpack-entries=128"),
    *_rows(_SIZE, "hash-max-listpack-value|hash-max-ziplist-value=64 set-max-listpack-value=64"),
    *_rows(_SIZE, "zset-max-listpack-value|zset-max-ziplist-value=64"),
    *_rows(_Number(-_INT - 1, _INT), "list-max-listpack-size|list-max-ziplist-size=-2"),
    *_rows(_SIZE, "hll-sparse-max-bytes=3000 stream-node-max-bytes=4kb"),
    *_rows(_COUNT, "stream-node-max-entries=100 tracking-table-max-keys=1000000"),
    # Persistence
    Directive("save", _SavePoints(_save_points), "3600 1 300 100 60 10000"),
    *_rows(_Text(False, _file_name("dbfilename").refuse[:1]), "dbfilename=dump.rdb", protected=True),
    *_rows(_file_name("appendfilename"), "appendfilename=appendonly.aof", mutable=False),
    *_rows(_file_name("appenddirname", "dirname"), "appenddirname=appendonlydir", mutable=False),
    *_rows(_BOOL, "rdbcompression=yes rdb-save-incremental-fsync=yes rdb-del-sync-files=no"),
    *_rows(_BOOL, "appendonly=no stop-writes-on-bgsave-error=yes no-appendfsync-on-rewrite=no"),
    *_rows(_BOOL, "aof-load-truncated=yes aof-use-rdb-preamble=yes aof-rewrite-incremental-fsync=yes"),
    *_rows(_BOOL, "aof-timestamp-enabled=no aof-disable-auto-gc=no"),
    *_rows(_Choice("everysec", "always", "no"), "appendfsync=everysec"),
    *_rows(_FROM_0, "auto-aof-rewrite-percentage=100"),
    *_rows(_SIZE, "auto-aof-rewrite-min-size=64mb"),
    *_rows(_Choice("no", "yes", "clients"), "sanitize-dump-payload=no"),
    *_rows(_Choice("ignore", "panic", "panic-on-replicas"), "propagation-error-behavior=ignore"),
    # Replication
    Directive("replicaof", _Words(_master, drop=True), "no one", "slaveof", mutable=False),
    *_rows(_MAYBE, "replica-announce-ip|slave-announce-ip="),
    *_rows(_PORT, "replica-announce-port|slave-announce-port=0"),
    *_rows(_BOOL, "replica-serve-stale-data|slave-serve-stale-data=yes replica-announced=yes"),
    *_rows(_BOOL, "replica-ignore-maxmemory|slave-ignore-maxmemory=yes repl-diskless-sync=yes"),
    *_rows(_BOOL, "replica-lazy-flush|slave-lazy-flush=no replica-ignore-disk-write-errors=no"),
    *_rows(_BOOL, "replica-read-only|slave-read-only=yes repl-disable-tcp-nodelay=no"),
    *_rows(_FROM_0, "replica-priority|slave-priority=100 repl-diskless-sync-delay=5"),
    *_rows(_FROM_0, "min-replicas-to-write|min-slaves-to-write=0 min-replicas-max-lag|min-slaves-max-lag=10"),
    *_rows(_FROM_0, "repl-diskless-sync-max-replicas=0"),
    *_rows(_FROM_1, "repl-ping-replica-period|repl-ping-slave-period=10 repl-timeout=60"),
    *_rows(_Memory(1, _LONG, (16384, _LONG)), "repl-backlog-size=1mb"),
    *_rows(_COUNT, "repl-backlog-ttl=3600"),
    *_rows(_Choice("disabled", "on-empty-db", "swapdb"), "repl-diskless-load=disabled"),
    # Cluster
    *_rows(_PORT, "cluster-port=0", mutable=False),
    *_rows(_PORT, "cluster-announce-port=0 cluster-announce-bus-port=0 cluster-announce-tls-port=0"),
    *_rows(_Text(True, _HOST_NAME), "cluster-announce-hostname="),
    *_rows(_Text(True, _NODE_NAME), "cluster-announce-human-nodename="),
    *_rows(_Choice("ip", "hostname", "unknown-endpoint"), "cluster-preferred-endpoint-type=ip"),
    *_rows(_COUNT, "cluster-node-timeout=15000"),
    *_rows(_FROM_0, "cluster-replica-validity-factor|cluster-slave-validity-factor=10"),
    *_rows(_FROM_0, "cluster-migration-barrier=1"),
    *_rows(_BOOL, "cluster-replica-no-failover|cluster-slave-no-failover=no"),
    *_rows(_BOOL, "cluster-require-full-coverage=yes cluster-allow-replica-migration=yes"),
    *_rows(_BOOL, "cluster-allow-pubsubshard-when-down=yes cluster-allow-reads-when-down=no"),
    # TLS
    *_rows(_BOOL, "tls-cluster=no tls-replication=no tls-prefer-server-ciphers=no tls-session-caching=yes"),
    *_rows(_FROM_0, "tls-session-cache-size=20480 tls-session-cache-timeout=300"),
    *_rows(_Choice("no", "yes", "optional"), "tls-auth-clients=yes"),
    *_rows(_MAYBE, "tls-cert-file= tls-key-file= tls-key-file-pass= tls-client-cert-file= tls-ciphers="),
    *_rows(_MAYBE, "tls-client-key-file-pass= tls-dh-params-file= tls-ca-cert-file= tls-ca-cert-dir="),
    *_rows(_MAYBE, "tls-protocols= tls-ciphersuites= tls-client-key-file="),
]

DIRECTIVES: dict[str, Directive] = {row.name: row for row in _TABLE}
"""Every directive under its own name (not its alias)."""
