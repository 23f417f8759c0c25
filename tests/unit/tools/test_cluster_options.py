"""The arguments of `respcache cluster`."""

from __future__ import annotations

from pathlib import Path

import pytest

from respcache.directives import DIRECTIVES
from respcache.tools import cluster_options
from respcache.tools.cluster_options import Options, check, doubts, read


def test_defaults() -> None:
    options = read([])
    assert options == Options()
    assert (options.ports, options.each, options.host) == ([*range(7000, 7006)], 1, "127.0.0.1")
    check(options)


def test_all_of_them(tmp_path: Path) -> None:
    options = read(
        [
            *("--nodes", "3", "--replicas", "2", "--dir", str(tmp_path), "--base-port", "8000"),
            *("--bind", "::1", "--timeout", "5", "--program", "redis-server --loglevel debug"),
            *("--appendonly", "yes", "--save", "", "--maxmemory", "64mb", "--save", "60", "1"),
        ]
    )
    assert (options.nodes, options.each, options.directory) == (3, 2, tmp_path)
    assert (options.ports, options.bind, options.timeout) == ([8000, 8001, 8002], "::1", 5.0)
    assert options.program == ("redis-server", "--loglevel", "debug")
    assert options.extra == (("appendonly", "yes"), ("save", ""), ("maxmemory", "64mb"), ("save", "60", "1"))
    assert (options.directive("appendonly"), options.directive("save")) == ("yes", "60 1")
    assert options.directive("dir") is None
    check(options)


def test_fewer_nodes_have_no_replicas() -> None:
    assert [read(["--nodes", str(nodes)]).each for nodes in (1, 5, 6)] == [0, 0, 1]


def test_join() -> None:
    options = read(["--join", "a:1", "[::1]:2", "--replicas", "1", "--timeout", "9"])
    assert (options.join, options.nodes, options.replicas) == ((("a", 1), ("::1", 2)), 2, 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--nodes 0", "--nodes wants a number from 1 to 1000, not '0'"),
        ("--nodes many", "--nodes wants a number from 1 to 1000, not 'many'"),
        ("--nodes 1 2", "--nodes wants a number from 1 to 1000, not '1 2'"),
        ("--nodes", "--nodes wants a number from 1 to 1000, not ''"),
        ("--replicas -1", "--replicas wants a number from 0 to 999, not '-1'"),
        ("--base-port 60000", "--base-port wants a number from 1 to 55535, not '60000'"),
        ("--dir", "--dir wants one value"),
        ("--bind localhost", "--bind wants one IP address, not 'localhost'"),
        ("--bind 127.0.0.1 ::1", "--bind wants one value"),
        ("--port 1", "--port cannot be given: the ports are those from --base-port on"),
        ("--Cluster-Enabled no", "--cluster-enabled cannot be given: it is set for each node"),
        ("some.conf", "unexpected argument 'some.conf'"),
        ("-", "unexpected argument '-'"),
        ("--version", "unexpected argument '--version'"),
        ("--join", "--join wants the nodes: HOST:PORT HOST:PORT ..."),
        ("--join a", "'a' is not HOST:PORT"),
        ("--join a:1 --nodes 6", "--nodes does not go with --join"),
        ("--join a:1 --save 1 1", "--save does not go with --join: the nodes run already"),
    ],
)
def test_wrong_arguments(words: str, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(words.split())
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--nodes 1 --replicas 1", "1 replica for each master need at least 2 nodes, not 1"),
        ("--base-port 55535", "6 nodes from port 55535 on need ports above 65535 for the bus"),
        ("--no-such-thing 1", "--no-such-thing 1: Bad directive or wrong number of arguments"),
        ("--maxmemory lots", "--maxmemory lots: argument must be a memory value"),
        (
            "--bind 0.0.0.0",
            "with --bind 0.0.0.0 others can reach the nodes: add --requirepass PASSWORD, "
            "or --protected-mode no if everybody may",
        ),
    ],
)
def test_what_cannot_be_started(words: str, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        check(read(words.split()))
    assert str(caught.value) == told


def test_other_programs_have_other_directives() -> None:
    check(read(["--program", "x", "--no-such-thing", "1"]))


def test_listening_for_others() -> None:
    for words in ("--requirepass secret", "--protected-mode no"):
        options = read(["--bind", "0.0.0.0", *words.split()])
        check(options)
        assert options.host == "127.0.0.1"


def test_what_the_tool_keeps_to_itself_exists() -> None:
    assert cluster_options._OWN.keys() <= {
        name for row in DIRECTIVES.values() for name in (row.name, row.alias)
    }


def test_the_help_names_every_option() -> None:
    for name in cluster_options._READERS:
        assert f"--{name} " in cluster_options.HELP


def test_an_equals_sign() -> None:
    options = read(["--nodes=4", "--Dir=/a=b", "--appendonly", "--x=y"])
    assert (options.nodes, options.directory) == (4, Path("/a=b"))
    assert options.extra == (("appendonly", "--x=y"),)


def test_many_nodes_take_their_time() -> None:
    assert [read(words.split()).seconds for words in ("", "--nodes 100", "--nodes 100 --timeout 5")] == [60, 300, 5]


def test_nodes_that_are_there_and_new_ones() -> None:
    options = Options(nodes=4, replicas=9, found=(7003, 7009))
    assert options.ports == [7003, 7009, 7010, 7011]
    check(options)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--nodes 2 --replicas 1", "with 1 master no replica takes over"),
        ("--nodes 4 --replicas 1", "with 2 masters no replica takes over"),
        ("--maxmemory 40mb", "--maxmemory 40mb leaves little room for data: a node takes about 35 MB without any"),
    ],
)
def test_doubts(words: str, told: str) -> None:
    (doubt,) = doubts(read(words.split()))
    assert doubt.startswith(told)


@pytest.mark.parametrize(
    "words", ["--nodes 6", "--nodes 2", "--maxmemory 64mb", "--maxmemory 0", "--maxmemory 9mb --program redis-server"]
)
def test_no_doubts(words: str) -> None:
    assert doubts(read(words.split())) == []
