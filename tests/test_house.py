"""The rules of the house, proved on the source: who imports whom, what is long, what stands beside it."""

from __future__ import annotations

import ast
import functools
import graphlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "respcache"
MAX_LINES = 450

# A module imports only from its own layer and from those printed above it. A name is a module, or a package
# with all that is in it; `respcache` is the package's own `__init__`.
LAYERS = [
    ["version"],
    ["clock"],
    ["log"],
    ["config"],
    ["kinds", "rewrite"],
    ["directives"],
    ["unsupported"],
    ["protocol"],
    ["keyspec"],
    ["registry", "syntax"],
    ["store"],
    ["persistence"],
    ["replication"],
    ["cluster"],
    ["features"],
    ["table", "transaction", "link", "durable"],
    ["replicated", "clustered"],
    ["state"],
    ["execute"],
    ["serve", "monitoring", "propagating", "forms", "gates", "limiting", "saving", "loading", "holding"],
    ["replaying", "rewriting"],
    ["appending"],
    ["failover", "full_sync"],
    ["mastering", "applying", "receiving", "routing", "migrating"],
    ["commands"],
    ["dispatch"],
    ["peer"],
    ["connection"],
    ["master_link"],
    ["following", "cluster_replication", "lost_slots"],
    ["sockets", "nodes_file"],
    ["bus"],
    ["clustering"],
    ["listeners"],
    ["cron"],
    ["server"],
    ["loop"],
    ["thread"],
    ["client"],
    ["respcache"],
    ["tools"],
    ["cli"],
    ["__main__"],
]

# Packages that import nothing else of ours, with the exceptions.
ALONE = {"protocol": {"protocol"}, "client": {"client", "version"}}

# Packages that do no input or output: what they may not import, and may not call.
PURE = ["protocol", "store"]
IMPURE_MODULES = {
    *("asyncio", "fcntl", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "select", "selectors"),
    *("shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "uvloop"),
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}

# No test of their own: they hold a constant, names, or one call.
UNTESTED = {"__init__", "__main__", "version", "link", "durable", "keeper", "replicated", "clustered", "services"}

# Written so that it does not find itself.
MACHINE_PATH = re.compile(rb"(?<![\w.~-])/(?:home|work|tmp|Users)/\w[^\s\"'`]*")


def _name(path: Path) -> str:
    """`respcache.store.glob` of `respcache/store/glob.py`; `respcache.store` of its `__init__.py`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_bytes(), str(MODULES[module]))


def _part(module: str) -> str:
    """The first name below the package, which is what LAYERS speaks of."""
    return module.split(".")[1] if "." in module else module


def _layer(module: str) -> int:
    """How far down the module stands; -1 without a layer, of which another test complains."""
    return next((number for number, names in enumerate(LAYERS) if _part(module) in names), -1)


def _imports(module: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of every import, those in functions and under TYPE_CHECKING too.

    `from a import b` is a.b if that is a module of ours, else a.
    """
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(_tree(module)):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield node.lineno, alias.name
            case ast.ImportFrom():
                base = node.module or ""
                if node.level:
                    above = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*above, *filter(None, [node.module])])
                for alias in node.names:
                    inner = f"{base}.{alias.name}"
                    yield node.lineno, inner if inner in MODULES else base
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(target)), *_],
            ):
                yield node.lineno, target


def _own_imports(module: str) -> Iterator[tuple[int, str]]:
    for line, target in _imports(module):
        if target.split(".")[0] == "respcache":
            assert target in MODULES, f"{_where(module, line)} imports {target}, which does not exist"
            yield line, target


def _where(module: str, line: int) -> str:
    return f"{MODULES[module].relative_to(ROOT)}:{line}"


def _fail_on(problems: list[str]) -> None:
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_a_module_imports_only_from_layers_above() -> None:
    _fail_on(
        [
            f"{_where(module, line)} imports {target}, which stands below it"
            for module in MODULES
            for line, target in _own_imports(module)
            if _layer(target) > _layer(module)
        ]
    )


def test_every_module_stands_in_one_layer() -> None:
    places = [name for names in LAYERS for name in names]
    _fail_on(
        [
            f"{module} stands in {count} layers: give it one place in LAYERS, and in docs/design.md"
            for module in MODULES
            if (count := places.count(_part(module))) != 1
        ]
    )


def test_no_import_cycle() -> None:
    graph = {module: {target for _, target in _own_imports(module)} for module in MODULES}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"import cycle: {' <- '.join(error.args[1])}", pytrace=False)


@pytest.mark.parametrize("package", ALONE)
def test_a_package_that_stands_alone(package: str) -> None:
    _fail_on(
        [
            f"{_where(module, line)} imports {target}, but {package} imports nothing else of ours"
            for module in MODULES
            if _part(module) == package
            for line, target in _own_imports(module)
            if _part(target) not in ALONE[package]
        ]
    )


def test_only_the_front_knows_the_client_library() -> None:
    _fail_on(
        [
            f"{_where(module, line)} imports {target}"
            for module in MODULES
            if _part(module) not in ("client", "respcache", "cli", "__main__")
            for line, target in _own_imports(module)
            if _part(target) == "client"
        ]
    )


@pytest.mark.parametrize("package", PURE)
def test_a_pure_package_does_no_io(package: str) -> None:
    modules = [module for module in MODULES if _part(module) == package]
    _fail_on(
        [
            f"{_where(module, line)} imports {target}"
            for module in modules
            for line, target in _imports(module)
            if target.split(".")[0] in IMPURE_MODULES
        ]
        + [
            f"{_where(module, node.lineno)} calls {node.func.id}()"
            for module in modules
            for node in ast.walk(_tree(module))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS
        ]
    )


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_bytes().splitlines()) for path in MODULES.values()}
    _fail_on(
        [
            f"{path.relative_to(ROOT)} has {length} lines, {MAX_LINES} at most: split it"
            for path, length in lengths.items()
            if length > MAX_LINES
        ]
    )


def test_every_module_has_its_test_beside_it() -> None:
    problems = []
    families = ROOT / "tests" / "commands"
    for path in MODULES.values():
        inside = path.relative_to(PACKAGE)
        mirror = ROOT / "tests" / "unit" / inside.parent / f"test_{path.stem}.py"
        # A family of commands is tested on both servers: tests/commands/test_<family>*.py.
        if path.stem in UNTESTED or (
            inside.parts[0] == "commands" and any(families.glob(f"test_{path.stem}*.py"))
        ):
            continue
        if not mirror.exists():
            problems.append(f"respcache/{inside.as_posix()} has no {mirror.relative_to(ROOT).as_posix()}")
    _fail_on(problems)


CLASSES = {
    node.name: node
    for module in MODULES
    for node in ast.walk(_tree(module))
    if isinstance(node, ast.ClassDef)
}


def _inherits_docstring(owner: ast.AST, method: str) -> bool:
    """Whether a base class of ours documents a method of that name."""
    bases = [CLASSES.get(getattr(base, "id", "")) for base in getattr(owner, "bases", [])]
    return any(
        _inherits_docstring(base, method)
        or any(getattr(each, "name", "") == method and ast.get_docstring(each) for each in base.body)  # type: ignore[arg-type]
        for base in bases
        if base is not None
    )


def _undocumented(node: ast.AST, prefix: str = "") -> Iterator[tuple[int, str]]:
    """Line and name of the public classes, functions and methods without docstrings; none in functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If | ast.Try | ast.With):
            yield from _undocumented(child, prefix)
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if child.name.startswith("_"):
            continue
        # The twins of one function.
        twin = any(
            getattr(decorator, "attr", getattr(decorator, "id", "")) in ("setter", "deleter", "overload")
            for decorator in child.decorator_list
        )
        if not twin and not ast.get_docstring(child) and not _inherits_docstring(node, child.name):
            yield child.lineno, prefix + child.name
        if isinstance(child, ast.ClassDef):
            yield from _undocumented(child, f"{prefix}{child.name}.")


def test_all_that_is_public_is_documented() -> None:
    _fail_on(
        [
            f"{_where(module, line)} {name} has no docstring"
            for module in MODULES
            for line, name in _undocumented(_tree(module))
        ]
        + [
            f"{_where(module, 1)} the module has no docstring"
            for module in MODULES
            if _tree(module).body and not ast.get_docstring(_tree(module))
        ]
    )


def _tracked() -> list[Path]:
    """The files of the project: what git has or would add; without git, all not hidden or generated."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30, check=True).stdout
        paths = [ROOT / os.fsdecode(name) for name in listed.split(b"\0") if name]
    except (OSError, subprocess.CalledProcessError):
        generated = {"__pycache__", "build", "dist"}
        paths = [
            path
            for path in ROOT.rglob("*")
            if not any(part in generated or part[0] == "." for part in path.relative_to(ROOT).parts)
        ]
    return [path for path in paths if path.is_file()]


def test_no_file_names_the_path_of_a_machine() -> None:
    _fail_on(
        [
            f"{path.relative_to(ROOT)}:{number} {found[0].decode(errors='replace')}"
            for path in _tracked()
            for number, line in enumerate(path.read_bytes().split(b"\n"), 1)
            if (found := MACHINE_PATH.search(line))
        ]
    )
