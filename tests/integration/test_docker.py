"""`docker/`: its files against the options that the package has, and, where there is a Docker engine, for real.

The base image of the Dockerfile is taken from the registry, or from RESPCACHE_DOCKER_BASE; see docker/README.md.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis
from redis.cluster import RedisCluster

from respcache import cli, tools
from respcache.config import Config, parse_args
from respcache.directives import DIRECTIVES
from respcache.tools import cluster_options, ping
from respcache.tools.members import plan
from tests.servers import ROOT

DOCKER = ROOT / "docker"
FILES = ["compose.yaml", "single.yaml"]
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
PORTS = range(7001, 7007)
IMAGE = "respcache-test"


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile: name and the rest, continued lines joined."""
    text = re.sub(r"\\\n", " ", (DOCKER / "Dockerfile").read_text())
    lines = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
    return [(name.upper(), rest) for name, rest in lines]


def last(name: str) -> str:
    """The rest of the last instruction of a name."""
    return next(rest for found, rest in reversed(instructions()) if found == name)


def compose(name: str) -> dict[str, Any]:
    """A compose file with the defaults of its variables."""
    text = (DOCKER / name).read_text()
    assert "$" not in VARIABLE.sub("", text), "a variable without a default"
    loaded: dict[str, Any] = yaml.safe_load(VARIABLE.sub(lambda found: found[2], text))
    return loaded


def services() -> list[Any]:
    return [
        pytest.param(service, id=f"{name}-{key}")
        for name in FILES
        for key, service in compose(name)["services"].items()
    ]


def words_of(service: dict[str, Any]) -> list[str]:
    """The command line in the container."""
    entry = service.get("entrypoint", json.loads(last("ENTRYPOINT")))
    words = [*entry, *service.get("command", [])]
    assert all(isinstance(word, str) for word in words), "a word that YAML takes for something else"
    return words


def server_config(words: list[str]) -> Config:
    """What a server makes of these words; ConfigError if it refuses them."""
    arguments = parse_args(words)
    assert (arguments.action, arguments.path, arguments.stdin) == ("run", None, False)
    return cli.read_config(arguments)


def check_words(words: list[str]) -> None:
    """Each of them is an option that the package has, and it takes them."""
    program, *rest = words
    assert program == "respcache"
    if rest[:1] == ["cluster"]:
        options = cluster_options.read(rest[1:])
        assert options.join
        plan([""] * options.nodes, options.each)
    elif rest[:1] == ["ping"]:
        ping.read(rest[1:])
    else:
        assert not {*rest[:1]} & {*tools.WORDS}
        names = {words[0] for words in parse_args(rest).overrides}
        assert names <= DIRECTIVES.keys()
        server_config(rest)


# The files


def test_the_dockerfile() -> None:
    assert last("USER").split(":")[0] not in ("0", "root")
    assert last("WORKDIR") == last("VOLUME") == "/data"
    assert last("STOPSIGNAL") == "SIGTERM"
    assert last("ENTRYPOINT") == '["respcache"]'
    options, check = last("HEALTHCHECK").split("CMD ")
    check_words(json.loads(check))
    seconds = int(re.findall(r"--timeout=(\d+)s", options)[0])
    assert seconds > ping.TIMEOUT
    assert last("EXPOSE") == str(Config(DIRECTIVES).port)


def test_the_base_is_new_enough() -> None:
    version = re.search(r"BASE=python:(\d+)\.(\d+)", last("ARG"))
    needed = re.search(r'requires-python = ">=(\d+)\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert version and needed
    assert tuple(map(int, version.groups())) >= tuple(map(int, needed.groups()))


def test_what_is_copied_is_there_and_not_ignored() -> None:
    kept = re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    copied = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    assert sorted(word for words in copied for word in words) == sorted(kept)
    assert all((ROOT / name).exists() for name in kept)


@pytest.mark.parametrize("name", FILES)
def test_the_image_is_built_from_the_tree(name: str) -> None:
    for service in compose(name)["services"].values():
        build = service["build"]
        context = (DOCKER / build["context"]).resolve()
        assert (context, context / build["dockerfile"]) == (ROOT, DOCKER / "Dockerfile")


@pytest.mark.parametrize("service", services())
def test_a_command_line(service: dict[str, Any]) -> None:
    check_words(words_of(service))


@pytest.mark.parametrize("service", services())
def test_a_health_check(service: dict[str, Any]) -> None:
    check = service.get("healthcheck", {"test": ["CMD", *json.loads(last("HEALTHCHECK").split("CMD ")[1])]})
    if check.get("disable"):
        assert words_of(service)[1] == "cluster"
        return
    kind, *words = check["test"]
    assert kind == "CMD"
    check_words(words)
    asker, _ = ping.read(words[2:])
    config = server_config(words_of(service)[1:])
    assert asker.address == ("127.0.0.1", config.port)
    published, inside = (int(port) for port in service["ports"][0].split(":")[1:])
    assert published == inside == config.port


def test_the_durable_node() -> None:
    service = compose("single.yaml")["services"]["respcache"]
    config = server_config(words_of(service)[1:])
    assert (config.appendonly, config.appendfsync) == (True, "everysec")
    assert service["volumes"] == ["data:/data"]
    assert service["ports"] == ["127.0.0.1:6379:6379"]


def test_the_cluster() -> None:
    document = compose("compose.yaml")
    nodes = {name: service for name, service in document["services"].items() if name != "join"}
    assert len(nodes) == 6
    subnet = ipaddress.ip_network(document["networks"]["nodes"]["ipam"]["config"][0]["subnet"])
    seen = set()
    for service in nodes.values():
        config = server_config(words_of(service)[1:])
        address = service["networks"]["nodes"]["ipv4_address"]
        assert config.cluster_enabled
        assert config.cluster_announce_ip == address
        assert ipaddress.ip_address(address) in subnet
        assert config.cluster_announce_hostname == "127.0.0.1"
        assert config.cluster_preferred_endpoint_type == "hostname"
        assert config.appendonly
        seen |= {address, config.port, *service["volumes"]}
    assert len(seen) == 3 * 6
    assert {volume.split(":")[0] for s in nodes.values() for volume in s["volumes"]} == document["volumes"].keys()
    join = document["services"]["join"]
    options = cluster_options.read(words_of(join)[2:])
    ports = {name: server_config(words_of(service)[1:]).port for name, service in nodes.items()}
    assert dict(options.join) == ports
    assert options.replicas == 1
    assert join["depends_on"] == {name: {"condition": "service_healthy"} for name in nodes}


def test_the_readme_names_every_variable() -> None:
    readme = (DOCKER / "README.md").read_text()
    named = {match[1]: match[2].strip("`") for match in re.finditer(r"^\| `(\w+)` \| (\S+) \|", readme, re.MULTILINE)}
    used = {name: value for file in FILES for name, value in VARIABLE.findall((DOCKER / file).read_text())}
    assert named == {name: value or "none" for name, value in used.items()}


# For real


def docker(*words: str, seconds: float = 60.0, check: bool = True) -> str:
    environment = {**os.environ, "RESPCACHE_IMAGE": IMAGE, "RESPCACHE_NET": "172.28.74"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, cwd=ROOT, env=environment)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-2000:]}")
    return done.stdout


def engine_trouble() -> str:
    """Why there is no Docker engine to be used; empty if there is one."""
    if shutil.which("docker") is None:
        return "no docker"
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return "the Docker engine does not answer"
    told = (done.stdout + done.stderr).strip().splitlines()
    return "" if done.returncode == 0 and "ERROR" not in done.stdout else f"no Docker engine: {told[-1]}"


@pytest.fixture(scope="module")
def image() -> Iterator[None]:
    """Builds the image, with a name of its own."""
    if trouble := engine_trouble():
        pytest.skip(trouble)
    base = os.environ.get("RESPCACHE_DOCKER_BASE")
    if not base:
        base = re.findall(r"BASE=(\S+)", last("ARG"))[0]
        try:
            docker("docker", "pull", "--quiet", base, seconds=120)
        except (RuntimeError, subprocess.TimeoutExpired):
            pytest.skip(f"the image {base} cannot be had; RESPCACHE_DOCKER_BASE names another one")
    command = ["docker", "build", "--network", "host", "--build-arg", f"BASE={base}"]
    docker(*command, "-f", "docker/Dockerfile", "-t", IMAGE, ".", seconds=300)
    yield
    docker("docker", "image", "rm", "--force", IMAGE, check=False)


def composer() -> list[str]:
    """The command of compose; skips without one."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip("no docker compose")


@contextlib.contextmanager
def up(name: str, place: Path) -> Iterator[list[str]]:
    """The services of a compose file, under another name; gives the command that reaches them."""
    command = composer()
    file = place / name  # Compose 1 knows no `name`
    file.write_text(re.sub(r"^name:.*$", "", (DOCKER / name).read_text(), flags=re.MULTILINE))
    whole = [*command, "-p", "respcache-test", "-f", str(file)]
    try:
        docker(*whole, "up", "-d", "--no-build", seconds=180)
        yield whole
    finally:
        docker(*whole, "down", "--volumes", "--timeout", "30", seconds=120, check=False)


def skip_if_taken(*ports: int) -> None:
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"port {port} is taken")


def until(what: str, true: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.mark.usefixtures("image")
def test_one_durable_node(tmp_path: Path) -> None:
    skip_if_taken(6379)
    with up("single.yaml", tmp_path) as command:
        (container,) = docker(*command, "ps", "-q").split()
        state = ["docker", "inspect", "--format", "{{.State.Health.Status}} {{.State.ExitCode}}", container]
        until("it is not healthy", lambda: docker(*state).split()[0] == "healthy")
        assert docker("docker", "exec", container, "id", "-u").strip() == "999"
        with Redis() as client:
            client.set("a", 1)
        docker("docker", "kill", "--signal", "KILL", container)
        docker("docker", "start", container)
        ping_it = ["docker", "exec", container, "respcache", "ping"]
        until("it does not come back", lambda: "PONG" in docker(*ping_it, check=False))
        with Redis() as client:
            assert client.get("a") == b"1"
        began = time.monotonic()
        docker("docker", "stop", container)
        assert time.monotonic() - began < 8, "SIGTERM did not arrive"
        assert docker(*state).split()[1] == "0"
        assert "Bye bye" in docker("docker", "logs", container)


@pytest.mark.usefixtures("image")
def test_a_cluster_that_forms_itself(tmp_path: Path) -> None:
    skip_if_taken(*PORTS)
    with up("compose.yaml", tmp_path) as command:
        containers = docker(*command, "ps", "-a", "-q", check=False).split() or docker(*command, "ps", "-q").split()
        names = {docker("docker", "inspect", "--format", "{{.Name}}", each).strip(): each for each in containers}
        (join,) = (each for name, each in names.items() if "join" in name)
        until(
            "join does not end",
            lambda: docker("docker", "inspect", "--format", "{{.State.Status}}", join).strip() == "exited",
        )
        assert docker("docker", "inspect", "--format", "{{.State.ExitCode}}", join).strip() == "0"
        assert "The cluster is made, and ok." in docker("docker", "logs", join)
        client: Any = RedisCluster("127.0.0.1", PORTS[0])
        for n in range(100):
            client.set(f"key:{n}", n)
        assert [int(client.get(f"key:{n}") or -1) for n in range(100)] == [*range(100)]
        assert {(node.host, node.port) for node in client.get_nodes()} == {("127.0.0.1", port) for port in PORTS}
        client.close()
        docker("docker", "start", "--attach", join)
        assert "The cluster was there already, and ok." in docker("docker", "logs", join)
