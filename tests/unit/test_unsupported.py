"""What a configuration may not ask for."""

from __future__ import annotations

import logging

import pytest

from respcache.config import Config, ConfigError, SetError
from respcache.directives import DIRECTIVES
from respcache.server import Server
from respcache.unsupported import is_plain_default, refuse
from respcache.version import __version__


def configured(text: str) -> Config:
    config = Config(DIRECTIVES)
    config.load_text(text.encode(), "redis.conf")
    return config


@pytest.mark.parametrize(
    "line",
    [
        "user alice on nopass ~* +@all",
        "user default on >secret ~* &* +@all",
        "user default off",
        "aclfile users.acl",
        "tls-port 6380",
    ],
)
def test_refused(line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Server(config=configured(line))
    assert str(caught.value) == f"'{line.split()[0]}' is not supported yet by respcache {__version__}"


@pytest.mark.parametrize(
    "line",
    [
        "user default on nopass ~* &* +@all",
        "user default on nopass sanitize-payload allkeys allchannels allcommands",
        'aclfile ""',
        "tls-port 0",
        "cluster-enabled yes",
        "replicaof no one",
    ],
)
def test_what_says_nothing_new_is_fine(line: str) -> None:
    refuse(configured(line))


def test_a_node_of_a_cluster_is_told_by_the_cluster_whom_to_follow() -> None:
    with pytest.raises(ConfigError) as caught:
        refuse(configured("cluster-enabled yes\nreplicaof 127.0.0.1 6379"))
    assert str(caught.value) == "replicaof directive not allowed in cluster mode"


def test_a_user_of_another_name_is_never_plain() -> None:
    assert is_plain_default(["default", "on", "nopass", "~*", "&*", "+@all"])
    assert not is_plain_default(["alice", "on", "nopass", "~*", "&*", "+@all"])


def test_config_set_accepts(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(port=0)
    with caplog.at_level(logging.WARNING, "respcache"):
        server.config.set_many([("maxmemory", "1gb"), ("hz", "20")])
        server.config.set_many([("maxmemory", "0")])
    assert not [record for record in caplog.records if record.name == "respcache"]
    with pytest.raises(SetError, match="Unable to update TLS configuration"):
        server.config.set_many([("tls-port", "5")])
