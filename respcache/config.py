"""The configuration: typed values, CONFIG GET and SET, redis.conf and the command line read.

This is the mechanism; what directives exist is in `directives.py`, how each type reads and prints in `kinds.py`.

Texts are `str` decoded as UTF-8 with `surrogateescape`, so that any bytes come back unchanged. Values are
plain attributes: as fast as any, and no caller casts. To mypy they are Any; annotations would be a second
table to keep in step, so instead a test looks every `config.name` in the package up in the table.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Matcher = Callable[[bytes], Callable[[bytes], bool]]
Listener = Callable[[], None]

_BAD = "Bad directive or wrong number of arguments"
_INCLUDE_DEPTH = 16

# Directives of old versions that Redis still reads and ignores, with one argument.
_OBSOLETE = frozenset({"list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"})


class Kind(Protocol):
    """How one type of directive is read and printed."""

    multi: bool
    """True: takes any number of words. A text that holds them all is split at each single blank."""
    appends: bool
    """True: a repeated line of a file adds to the earlier ones instead of replacing them."""

    def parse(self, words: Sequence[str], old: object) -> object:
        """The value; ValueError has the text for the client. `old` is what it builds on, `()` for nothing."""

    def show(self, value: object) -> str:
        """The text that CONFIG GET prints."""

    def lines(self, value: object, default: object) -> list[tuple[str, bool]]:
        """For CONFIG REWRITE: (arguments as in a file, whether to add them if the file has no line left)."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One row of the table. `default` is a text, as CONFIG SET would take it."""

    name: str
    kind: Kind
    default: str
    alias: str | None = None
    mutable: bool = True
    protected: bool = False
    hidden: bool = False
    sensitive: bool = False
    """A secret: no log shows it."""

    def parse(self, words: Sequence[str], old: object, loading: bool = False) -> object:
        """Parse the words of a line; ValueError if there are too many, too few, or wrong ones.

        A single word may hold all of them: `--save "900 1"`.
        """
        if self.kind.multi and len(words) == 1:
            words = words[0].split(" ") if words[0] else []
        elif not self.kind.multi and len(words) != 1:
            raise ValueError("wrong number of arguments")
        return self.kind.parse(words, old if loading or not self.kind.appends else ())

    def parse_text(self, text: str, old: object) -> object:
        """Parse a text as CONFIG SET does."""
        return self.parse([text], old)


class ConfigError(Exception):
    """A configuration that cannot be loaded. The message, ready to print, has the reason, and where it stands."""

    def __init__(self, reason: str, line: Line | None = None) -> None:
        where = f"Reading {line.source}, at line {line.number}\n>>> '{line.text}'\n" if line else ""
        super().__init__(f"*** FATAL CONFIG FILE ERROR ***\n{where}{reason}" if line else reason)
        self.reason = reason
        self.line = line


class SetError(Exception):
    """A CONFIG SET that is refused. `text` is the whole error, code included, for a ReplyError to carry."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = encode(text)


@dataclass(frozen=True, slots=True)
class Line:
    """A directive and where it stands: `source` is a file name or a description of the input."""

    source: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Rename:
    """A `rename-command`; `new` is empty if the command is to go. `line` is where it stands, if that is a file."""

    old: str
    new: str
    line: Line | None = None


class Config:
    """The values of all directives, as attributes: `config.maxmemory_policy` holds `maxmemory-policy`.

    The types are those of the kinds in `kinds.py`. `users` and `renames` hold the `user` and `rename-command`
    lines that were read.
    """

    def __init__(self, table: Mapping[str, Directive]) -> None:
        self.table = table
        self._names = {name: row for row in table.values() for name in (row.name, row.alias) if name}
        self._defaults = {name: row.parse_text(row.default, ()) for name, row in table.items()}
        self._listeners: dict[str, list[Listener]] = {}
        self._loaded: set[str] = set()
        self.users: list[tuple[str, ...]] = []
        self.renames: list[Rename] = []
        for name, value in self._defaults.items():
            self._put(table[name], value)

    def __getattr__(self, name: str) -> Any:
        """For mypy: a directive's type is in the table. Only reached for names that are none."""
        raise AttributeError(f"no directive {name.replace('_', '-')!r}")

    def _put(self, row: Directive, value: object) -> None:
        setattr(self, row.name.replace("-", "_"), value)

    def value(self, name: str) -> Any:
        """The typed value under a name or alias; KeyError if there is no such directive."""
        return getattr(self, self._names[name.lower()].name.replace("-", "_"))

    def default(self, name: str) -> Any:
        """The typed default under a directive's own name."""
        return self._defaults[name]

    def find(self, name: str) -> Directive | None:
        """The directive under a name or alias, in any case."""
        return self._names.get(name.lower())

    def given(self, name: str) -> bool:
        """Whether a file, the command line or a keyword argument said anything of a directive."""
        return self._names[name].name in self._loaded

    def output_limit(self, client_class: str) -> tuple[int, int, int]:
        """Of `normal`, `replica`, `pubsub`: hard and soft limit (bytes, 0 is none), seconds over the soft."""
        limits: Mapping[str, tuple[int, int, int]] = dict(self.client_output_buffer_limit)
        return limits[client_class]

    def get_text(self, name: str) -> str:
        """The value as CONFIG GET prints it; KeyError if there is no such directive."""
        return self._names[name.lower()].kind.show(self.value(name))

    def match(self, pattern: bytes, matcher: Matcher) -> dict[str, str]:
        """Names and texts for CONFIG GET. `matcher` compiles a glob, which no hidden name matches."""
        lowered = pattern.lower()
        plain = lowered.decode("utf-8", "surrogateescape")
        if not any(special in lowered for special in b"*?["):
            return {plain: self.get_text(plain)} if plain in self._names else {}
        matches = matcher(lowered)
        names = (name for name, row in self._names.items() if not row.hidden and matches(name.encode()))
        return {name: self.get_text(name) for name in names}

    def on_change(self, name: str, callback: Listener) -> None:
        """Call `callback()` after CONFIG SET changed a value; it reads the new one here.

        It may refuse with ValueError (its text becomes the reason) or any other exception (raised as it is):
        then every value of that CONFIG SET goes back, and the listeners that were told are told again.
        """
        self._listeners.setdefault(self._names[name].name, []).append(callback)

    def set_many(self, pairs: Iterable[tuple[str, str]], *, local: bool = True) -> None:
        """CONFIG SET: all of the pairs or none; SetError. `local`: a client of this machine asks."""
        rows = self._settable(pairs, local)
        before = {row.name: self.value(row.name) for _, row, _ in rows}
        told: list[Listener] = []
        at = ""
        try:
            for at, row, text in rows:  # noqa: B007
                self._put(row, row.parse_text(text, self.value(row.name)))
            for at, row, _ in rows:  # noqa: B007
                if self.value(row.name) != before[row.name]:
                    for listener in self._listeners.get(row.name, ()):
                        if listener not in told:
                            told.append(listener)
                            listener()
        except BaseException as error:
            for changed, value in before.items():
                self._put(self.table[changed], value)
            for listener in told[:-1]:  # the last one refused, and did nothing
                listener()
            if isinstance(error, ValueError):
                raise _refused(at, str(error)) from None
            raise

    def put(self, name: str, value: object) -> None:
        """Changes a directive, under its own name, that only other commands than CONFIG SET may change."""
        self._put(self.table[name], value)

    def _settable(self, pairs: Iterable[tuple[str, str]], local: bool) -> list[tuple[str, Directive, str]]:
        """Look all names up before any value is parsed: that is the order in which Redis complains."""
        rows: dict[str, tuple[str, Directive, str]] = {}
        for given, text in pairs:
            name = given.lower()
            row = self._names.get(name)
            if row is None:
                raise SetError(f"ERR Unknown option or number of arguments for CONFIG SET - '{given}'")
            if not row.mutable:
                raise _refused(given, "can't set immutable config")
            allowed = self.enable_protected_configs
            if row.protected and not (allowed == "yes" or (allowed == "local" and local)):
                raise _refused(given, "can't set protected config")
            # A name and its alias do not count as one and the same; the later one wins, as in Redis.
            if name in rows:
                raise _refused(given, "duplicate parameter")
            rows[name] = (name, row, text)
        return list(rows.values())

    def _start_with(self, name: str, words: Sequence[str], line: Line | None = None) -> None:
        """Apply one directive before the server starts; ValueError with the reason. No listener is called."""
        row = self.find(name)
        key = name.lower()
        if row is not None:
            fresh = row.kind.appends and row.name not in self._loaded
            self._put(row, row.parse(words, () if fresh else self.value(name), loading=True))
            self._loaded.add(row.name)
        elif key == "user" and len(words) >= 1:
            self.users.append(tuple(words))
        elif key == "rename-command" and len(words) == 2:
            self.renames.append(Rename(words[0], words[1], line))
        elif key == "loadmodule":
            raise ValueError("modules are C libraries and cannot be loaded here")
        elif key == "sentinel":
            raise ValueError("sentinel directive while not in sentinel mode")
        elif not (key in _OBSOLETE and len(words) == 1):
            raise ValueError(_BAD)

    def load(self, directives: Mapping[str, object]) -> None:
        """Apply keyword arguments, `_` standing for `-`; ConfigError.

        True and False mean yes and no, None the empty text; a list or tuple is the words of a line; anything
        else is a text as CONFIG SET takes it.
        """
        for attribute, given in directives.items():
            if isinstance(given, list | tuple):
                words = [str(word) for word in given]
            else:
                words = [{"True": "yes", "False": "no", "None": ""}.get(str(given), str(given))]
            try:
                self._start_with(attribute.replace("_", "-"), words)
            except ValueError as error:
                raise ConfigError(f"{attribute}={given!r}: {error}") from None

    def _start(self, line: Line, words: Sequence[str]) -> None:
        try:
            self._start_with(words[0], words[1:], line)
        except ValueError as error:
            raise ConfigError(str(error), line) from None

    def load_text(self, text: bytes, source: str, depth: int = 0) -> None:
        """Apply the text of a redis.conf; ConfigError. Relative includes start at the working directory."""
        for line, words in read_lines(text, source):
            if words is None:
                raise ConfigError("Unbalanced quotes in configuration line", line)
            if words[0].lower() == "include" and len(words) == 2:
                if depth == _INCLUDE_DEPTH:
                    raise ConfigError("Too many nested includes", line)
                for path in sorted(glob.glob(words[1])) if glob.has_magic(words[1]) else [words[1]]:
                    self.load_file(path, line, depth + 1)
                continue
            self._start(line, words)

    def load_file(self, path: str, line: Line | None = None, depth: int = 0) -> None:
        """Apply a file; ConfigError if it is wrong or unreadable. `line` is the include that asks for it."""
        try:
            with open(path, "rb") as file:
                text = file.read()
        except OSError as error:
            raise ConfigError(f"Can't open config file '{path}': {error.strerror}", line) from None
        self.load_text(text, path, depth)

    def load_arguments(self, overrides: Sequence[Sequence[str]]) -> None:
        """Apply the `overrides` of a command line: each is a name and its words; ConfigError."""
        for position, words in enumerate(overrides, 1):
            self._start(Line("the command line", position, "--" + " ".join(words)), words)


def encode(text: str) -> bytes:
    """The bytes of a text as this module decodes it."""
    return text.encode("utf-8", "surrogateescape")


def _refused(name: str, reason: str) -> SetError:
    return SetError(f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")


_WORD = re.compile(rb"""([^\s"']*)(?:"((?:\\.|[^"\\])*)"|'((?:\\'|[^'\\]|\\(?!'))*)')?(?=\s|\Z)""", re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
_SHOWN = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}


def split_words(line: bytes) -> list[str] | None:
    r"""Split a line as Redis does; None if quotes are unbalanced.

    `"..."` knows `\n \r \t \b \a \xHH` and `\q` for any other q; `'...'` knows `\'` only. A closing
    quote ends the word.
    """
    words: list[str] = []
    at, end = 0, len(line.rstrip())
    while True:
        while at < end and line[at : at + 1].isspace():
            at += 1
        if at >= end:
            return words
        found = _WORD.match(line, at, end)
        if found is None:
            return None
        plain, double, single = found.groups(b"")
        double = _ESCAPE.sub(lambda m: bytes([int(m[1], 16)]) if m[1] else _ESCAPED.get(m[2], m[2]), double)
        words.append((plain + double + single.replace(b"\\'", b"'")).decode("utf-8", "surrogateescape"))
        at = found.end()


def quote(text: str) -> str:
    """The text in double quotes with escapes, so that `split_words` gives it back."""
    plain = (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in range(256))
    shown = [_SHOWN.get(byte, text) for byte, text in enumerate(plain)]
    return '"' + "".join(shown[byte] for byte in encode(text)) + '"'


def read_lines(text: bytes, source: str) -> Iterator[tuple[Line, list[str] | None]]:
    """Yield each line that is neither blank nor a comment, and its words (None: unbalanced quotes)."""
    for number, raw in enumerate(text.split(b"\n"), 1):
        stripped = raw.strip(b" \t\r\n")
        if stripped and not stripped.startswith(b"#"):
            yield Line(source, number, stripped.decode("utf-8", "surrogateescape")), split_words(stripped)


@dataclass(frozen=True, slots=True)
class Arguments:
    """A command line: what to do, the file to read, whether to read stdin next, directives to apply last."""

    action: str = "run"
    path: str | None = None
    stdin: bool = False
    overrides: tuple[tuple[str, ...], ...] = ()


_ACTIONS = {"-h": "help", "--help": "help", "-v": "version", "--version": "version"}
_ACTIONS["--check-system"] = "check-system"


def parse_args(argv: Sequence[str]) -> Arguments:
    """Parse the arguments (without the program's name) in redis-server's style; ConfigError.

    `[file | -] [--name word ...] ... [-]`. The word right after a name is its value even if it begins with
    `--`, except after `--save`, which alone means no save points. One argument `--hz 5` is split like a line.
    """
    if len(argv) == 1 and argv[0] in _ACTIONS:
        return Arguments(_ACTIONS[argv[0]])
    words = list(argv)
    stdin = "-" in (words[:1] + words[-1:])
    if stdin:
        words = [word for at, word in enumerate(words) if not (word == "-" and at in (0, len(words) - 1))]
    path = words.pop(0) if words and not words[0].startswith("-") else None
    overrides: list[tuple[str, ...]] = []
    open_name = False
    for at, word in enumerate(words):
        if word.startswith("--") and not open_name:
            named = split_words(encode(word[2:]))
            if not named:
                raise ConfigError(_BAD, Line("the command line", len(overrides) + 1, word))
            if named == ["save"] and (at + 1 == len(words) or words[at + 1].startswith("--")):
                named.append("")
            overrides.append(tuple(named))
            open_name = len(named) == 1
        elif overrides:
            overrides[-1] += (word,)
            open_name = False
        else:
            raise ConfigError(_BAD, Line("the command line", 1, word))
    return Arguments("run", path, stdin, tuple(overrides))
