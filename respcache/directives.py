"""The directives of redis.conf, all of them in one table; what their types mean is in `kinds.py`.

Names, defaults, limits and error texts are those of Redis 7.4, read off a 7.0.15 server where it has them.
Directives about things that do not exist here (jemalloc, I/O threads, CPU lists, TLS, ...) are accepted, kept
and given back, so that any stock redis.conf loads.
"""

from __future__ import annotations

from respcache.config import Directive, Kind
from respcache.kinds import (
    INT,
    LONG,
    Choice,
    Directory,
    Events,
    Memory,
    MemoryOrPercent,
    Number,
    Octal,
    OutputLimits,
    SavePoints,
    Text,
    Words,
    YesNo,
    addresses,
    master,
    oom_scores,
    output_limits,
    percentiles,
    save_points,
)


def _rows(
    kind: Kind, names: str, mutable: bool = True, protected: bool = False, sensitive: bool = False
) -> list[Directive]:
    """Directives of one kind, each written `name=default` or `name|alias=default`."""
    pairs = (item.split("=") for item in names.split())
    rows = ((*name.partition("|"), default) for name, default in pairs)
    marks = {"mutable": mutable, "protected": protected, "sensitive": sensitive}
    return [Directive(name, kind, text, alias or None, **marks) for name, _, alias, text in rows]


def _file_name(name: str, what: str = "filename") -> Text:
    return Text(False, (("/", f"{name} can't be a path, just a {what}"), ("^$", f"{name} can't be empty")))


_BOOL, _TEXT, _MAYBE = YesNo(), Text(), Text(optional=True)
_FROM_0, _FROM_1, _COUNT, _PORT = Number(0, INT), Number(1, INT), Number(0, LONG), Number(0, 65535)
_SIZE, _SIZE_FROM_1, _BUFFER = Memory(0, LONG), Memory(1, LONG), Memory(2**20, LONG)
_ALLOWED, _SHUTDOWN = Choice("no", "yes", "local"), Choice("default", "save", "nosave", "now", "force")
_HOST_NAME = ((r"[^A-Za-z0-9.-]", "Hostnames may only contain alphanumeric characters, hyphens or dots"),)
# Redis takes any address, and such names as would end a field of nodes.conf; then it cannot read that file any more.
_ADDRESS = ((r"[^0-9A-Za-z.:%_-]|.{46}", "It must be an address, or a name, of 45 characters at most"),)
_NODE_NAME = ((r"[^\x21-\x7e]|[\"'\\,=]", "Announced human node name contained invalid character"),)
_TITLE = r"^$|\{(?!(title|listen-addr|server-mode|port|tls-port|unixsocket|config-file)\})"
_BAD_TITLE = ((_TITLE, "template format is invalid or contains unknown variables"),)
_POLICIES = [f"{who}-{how}" for who in ("volatile", "allkeys") for how in ("lru", "lfu", "random", "ttl")]
_POLICIES[-1] = "noeviction"  # there is no allkeys-ttl
_LIMITS = "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60"

_TABLE: list[Directive] = [
    # Network and clients
    Directive("bind", Words(addresses, drop=True), "* -::*"),
    *_rows(_PORT, "port=6379 tls-port=0"),
    *_rows(_MAYBE, "bind-source-addr="),
    *_rows(_MAYBE, "masteruser= masterauth= requirepass=", sensitive=True),
    *_rows(Octal(), "unixsocketperm=0", mutable=False),
    *_rows(_BOOL, "protected-mode=yes"),
    *_rows(_FROM_0, "tcp-backlog=511", mutable=False),
    *_rows(_FROM_0, "tcp-keepalive=300 timeout=0"),
    *_rows(Number(0, 2**32 - 1), "socket-mark-id=0", mutable=False),
    *_rows(Number(1, 2**32 - 1), "maxclients=10000"),
    *_rows(Number(1, 1000), "max-new-connections-per-cycle=10 max-new-tls-connections-per-cycle=1"),
    Directive("client-output-buffer-limit", OutputLimits(output_limits), _LIMITS),
    *_rows(_BUFFER, "client-query-buffer-limit=1gb proto-max-bulk-len=512mb"),
    *_rows(MemoryOrPercent(), "maxmemory-clients=0"),
    # The process
    *_rows(_BOOL, "daemonize=no always-show-logo=no syslog-enabled=no io-threads-do-reads=no", mutable=False),
    *_rows(_BOOL, "disable-thp=yes set-proc-title=yes rdbchecksum=yes cluster-enabled=no", mutable=False),
    *_rows(Number(1, 128), "io-threads=1", mutable=False),
    *_rows(_FROM_1, "databases=16", mutable=False),
    *_rows(Choice("upstart", "systemd", "auto", "no"), "supervised=no", mutable=False),
    *_rows(Choice("debug", "verbose", "notice", "warning"), "loglevel=notice"),
    *_rows(_MAYBE, "pidfile=", mutable=False),
    *_rows(_TEXT, "logfile= aclfile= syslog-ident=redis cluster-config-file=nodes.conf", mutable=False),
    *_rows(Choice("user", *(f"local{n}" for n in range(8))), "syslog-facility=local0", mutable=False),
    *_rows(Directory(), "dir=.", protected=True),
    Directive("proc-title-template", Text(False, _BAD_TITLE), "{title} {listen-addr} {server-mode}"),
    *_rows(_TEXT, "ignore-warnings= locale-collate="),
    *_rows(_MAYBE, "unixsocket= server-cpulist|server_cpulist= bio-cpulist|bio_cpulist=", mutable=False),
    *_rows(_MAYBE, "aof-rewrite-cpulist|aof_rewrite_cpulist= bgsave-cpulist|bgsave_cpulist=", mutable=False),
    # Redis says no to DEBUG. Local here: our users are test suites, and many of those lean on it.
    *_rows(_ALLOWED, "enable-debug-command=local enable-module-command=no", mutable=False),
    *_rows(_ALLOWED, "enable-protected-configs=no", mutable=False),
    *_rows(_BOOL, "crash-log-enabled=yes crash-memcheck-enabled=yes jemalloc-bg-thread=yes dynamic-hz=yes"),
    *_rows(_BOOL, "activerehashing=yes latency-tracking=yes activedefrag=no hide-user-data-from-log=no"),
    *_rows(Number(0, INT, (1, 500)), "hz=10"),
    Directive("watchdog-period", _FROM_0, "0", hidden=True),
    *_rows(_SHUTDOWN, "shutdown-on-sigint=default shutdown-on-sigterm=default"),
    *_rows(Choice("no", "yes", "relative", "absolute"), "oom-score-adj=no"),
    Directive("oom-score-adj-values", Words(oom_scores), "0 200 800"),
    *_rows(Number(-1, LONG), "slowlog-log-slower-than=10000"),
    *_rows(_COUNT, "slowlog-max-len=128 acllog-max-len=128 latency-monitor-threshold=0"),
    Directive("latency-tracking-info-percentiles", Words(percentiles, always=True), "50 99 99.9"),
    *_rows(_COUNT, "busy-reply-threshold|lua-time-limit=5000"),
    *_rows(Choice("allchannels", "resetchannels"), "acl-pubsub-default=resetchannels"),
    *_rows(Events(), "notify-keyspace-events="),
    # Memory and the sizes of compact encodings
    *_rows(Memory(0, 2**64 - 1), "maxmemory=0 cluster-link-sendbuf-limit=0"),
    *_rows(Choice(*_POLICIES), "maxmemory-policy=noeviction"),
    *_rows(_FROM_1, "maxmemory-samples=5"),
    *_rows(Number(0, 100), "maxmemory-eviction-tenacity=10"),
    *_rows(_FROM_0, "lfu-decay-time=1 lfu-log-factor=10 list-compress-depth=0 shutdown-timeout=10"),
    *_rows(Number(1, 10), "active-expire-effort=1"),
    *_rows(Number(1, 99), "active-defrag-cycle-min=1 active-defrag-cycle-max=25"),
    *_rows(Number(0, 1000), "active-defrag-threshold-lower=10 active-defrag-threshold-upper=100"),
    *_rows(Number(1, LONG), "active-defrag-max-scan-fields=1000"),
    *_rows(_SIZE_FROM_1, "active-defrag-ignore-bytes=100mb"),
    *_rows(_BOOL, "lazyfree-lazy-eviction=no lazyfree-lazy-expire=no lazyfree-lazy-server-del=no"),
    *_rows(_BOOL, "lazyfree-lazy-user-del=no lazyfree-lazy-user-flush=no"),
    *_rows(_COUNT, "hash-max-listpack-entries|hash-max-ziplist-entries=512 set-max-intset-entries=512"),
    *_rows(_COUNT, "zset-max-listpack-entries|zset-max-ziplist-entries=128 set-max-listpack-entries=128"),
    *_rows(_SIZE, "hash-max-listpack-value|hash-max-ziplist-value=64 set-max-listpack-value=64"),
    *_rows(_SIZE, "zset-max-listpack-value|zset-max-ziplist-value=64"),
    *_rows(Number(-INT - 1, INT), "list-max-listpack-size|list-max-ziplist-size=-2"),
    *_rows(_SIZE, "hll-sparse-max-bytes=3000 stream-node-max-bytes=4kb"),
    *_rows(_COUNT, "stream-node-max-entries=100 tracking-table-max-keys=1000000"),
    # Persistence
    Directive("save", SavePoints(save_points), "3600 1 300 100 60 10000"),
    *_rows(Text(False, _file_name("dbfilename").refuse[:1]), "dbfilename=dump.rdb", protected=True),
    *_rows(_file_name("appendfilename"), "appendfilename=appendonly.aof", mutable=False),
    *_rows(_file_name("appenddirname", "dirname"), "appenddirname=appendonlydir", mutable=False),
    *_rows(_BOOL, "rdbcompression=yes rdb-save-incremental-fsync=yes rdb-del-sync-files=no"),
    *_rows(_BOOL, "appendonly=no stop-writes-on-bgsave-error=yes no-appendfsync-on-rewrite=no"),
    *_rows(_BOOL, "aof-load-truncated=yes aof-use-rdb-preamble=yes aof-rewrite-incremental-fsync=yes"),
    *_rows(_BOOL, "aof-timestamp-enabled=no aof-disable-auto-gc=no"),
    *_rows(Choice("everysec", "always", "no"), "appendfsync=everysec"),
    *_rows(_FROM_0, "auto-aof-rewrite-percentage=100"),
    *_rows(_SIZE, "auto-aof-rewrite-min-size=64mb"),
    *_rows(Choice("no", "yes", "clients"), "sanitize-dump-payload=no"),
    *_rows(Choice("ignore", "panic", "panic-on-replicas"), "propagation-error-behavior=ignore"),
    # Replication
    Directive("replicaof", Words(master, drop=True), "no one", "slaveof", mutable=False),
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
    *_rows(Memory(1, LONG, (16384, LONG)), "repl-backlog-size=1mb"),
    *_rows(_COUNT, "repl-backlog-ttl=3600"),
    *_rows(Choice("disabled", "on-empty-db", "swapdb"), "repl-diskless-load=disabled"),
    # Cluster
    *_rows(_PORT, "cluster-port=0", mutable=False),
    *_rows(_PORT, "cluster-announce-port=0 cluster-announce-bus-port=0 cluster-announce-tls-port=0"),
    *_rows(Text(True, _ADDRESS), "cluster-announce-ip="),
    *_rows(Text(True, _HOST_NAME), "cluster-announce-hostname="),
    *_rows(Text(True, _NODE_NAME), "cluster-announce-human-nodename="),
    *_rows(Choice("ip", "hostname", "unknown-endpoint"), "cluster-preferred-endpoint-type=ip"),
    *_rows(_COUNT, "cluster-node-timeout=15000"),
    *_rows(_FROM_0, "cluster-replica-validity-factor|cluster-slave-validity-factor=10"),
    *_rows(_FROM_0, "cluster-migration-barrier=1"),
    *_rows(_BOOL, "cluster-replica-no-failover|cluster-slave-no-failover=no"),
    *_rows(_BOOL, "cluster-require-full-coverage=yes cluster-allow-replica-migration=yes"),
    *_rows(_BOOL, "cluster-allow-pubsubshard-when-down=yes cluster-allow-reads-when-down=no"),
    # TLS
    *_rows(_BOOL, "tls-cluster=no tls-replication=no tls-prefer-server-ciphers=no tls-session-caching=yes"),
    *_rows(_FROM_0, "tls-session-cache-size=20480 tls-session-cache-timeout=300"),
    *_rows(Choice("no", "yes", "optional"), "tls-auth-clients=yes"),
    *_rows(_MAYBE, "tls-cert-file= tls-key-file= tls-client-cert-file= tls-client-key-file= tls-ciphers="),
    *_rows(_MAYBE, "tls-dh-params-file= tls-ca-cert-file= tls-ca-cert-dir= tls-protocols= tls-ciphersuites="),
    *_rows(_MAYBE, "tls-key-file-pass= tls-client-key-file-pass=", sensitive=True),
]

DIRECTIVES: dict[str, Directive] = {row.name: row for row in _TABLE}
"""Every directive under its own name (not its alias)."""
