"""The notation in which a declaration states its arguments, and the tree that COMMAND DOCS makes of it.

    key:key value [condition=<NX | XX>] [GET{6.2.0}] [expiration=<EX seconds:integer | KEEPTTL{6.0.0}>]

| written | means |
|---|---|
| `value`, `seconds:integer` | an argument of this name; its type is `string` if none is named |
| `"ip:port"` | a name that is no plain word |
| `NX`, `auto_id='*'` | a literal word; its name is the same in lower case unless it stands before `=` |
| `EX seconds:integer`, `'lib-name' name` | a literal word and its argument; quoted if not in upper case |
| `name=<a | b>` | one of these |
| `name=(a b)` | these together |
| `[a]` | may be left out |
| `a...`, `[a...]` | may be repeated |
| `[GET pattern]...` | may be repeated or left out, always with its literal word |
| `key:key@1` | its key spec is the second; a `key` belongs to the first (`@0`) if nothing is said |
| `a{6.2.0}`, `a{until 6.2.0}` | exists since, is deprecated since |

Texts are parsed when somebody asks for them, never at import.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

TYPES = frozenset({"double", "integer", "key", "pattern", "string", "unix-time"})
"""The types an argument can name; `pure-token`, `oneof` and `block` are said by the form."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command, as a node of a tree."""

    name: str
    type: str
    token: str | None = None
    """The literal word before the argument, or all of it (`pure-token`); may be empty."""
    key_spec: int | None = None
    """The index of the key spec that finds it."""
    since: str = ""
    deprecated: str = ""
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    """Each repetition starts with the token."""
    arguments: tuple[Argument, ...] = ()
    """The alternatives of a `oneof`, the parts of a `block`."""

    @property
    def flags(self) -> tuple[str, ...]:
        """In the order of COMMAND DOCS."""
        shown = ("optional", "multiple", "multiple_token")
        return tuple(flag for flag in shown if getattr(self, flag))


_LEXEME = re.compile(
    r"""\s*(?:
        (?P<since>\{(?P<from>[\d.]+)?\s*(?:until\s+(?P<until>[\d.]+))?\})
      | (?P<dots>\.\.\.)
      | (?P<token>'[^']*' | [A-Z][A-Z0-9-]*(?![a-z_]))
      | (?P<name>"[^"]+" | [a-z][a-z0-9_/-]*)
      | :(?P<type>[a-z-]+)
      | @(?P<spec>\d+)
      | (?P<mark>[\[\]<>()|=])
    )""",
    re.VERBOSE,
)


def parse(text: str) -> tuple[Argument, ...]:
    """The arguments that `text` describes. Raises ValueError if it is not in the notation."""
    return _Parser(text).whole()


class _Parser:
    """Recursive descent over the lexemes, one method per form."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lexemes: list[re.Match[str]] = []
        self.at = 0
        end, size = 0, len(text.rstrip())
        while end < size:
            found = _LEXEME.match(text, end)
            if found is None:
                raise ValueError(f"no lexeme at {text[end:]!r} of syntax {text!r}")
            self.lexemes.append(found)
            end = found.end()

    def fail(self) -> ValueError:
        start = self.lexemes[self.at].start() if self.at < len(self.lexemes) else len(self.text)
        return ValueError(f"unexpected {self.text[start:].strip()!r} in syntax {self.text!r}")

    def sees(self, *kinds: str) -> bool:
        """Whether the lexemes to come are of these kinds; a mark is its own kind."""
        ahead = self.lexemes[self.at : self.at + len(kinds)]
        return len(ahead) == len(kinds) and all(
            lexeme[0].strip() == kind if lexeme.lastgroup == "mark" else lexeme.lastgroup == kind
            for lexeme, kind in zip(ahead, kinds, strict=True)
        )

    def take(self, kind: str) -> re.Match[str] | None:
        """The next lexeme if it is of this kind, which is then behind us."""
        if not self.sees(kind):
            return None
        self.at += 1
        return self.lexemes[self.at - 1]

    def need(self, kind: str) -> re.Match[str]:
        found = self.take(kind)
        if found is None:
            raise self.fail()
        return found

    def whole(self) -> tuple[Argument, ...]:
        found = self.sequence()
        if self.at < len(self.lexemes):
            raise self.fail()
        return found

    def sequence(self) -> tuple[Argument, ...]:
        found = []
        while self.sees("[") or self.sees("name") or self.sees("token"):
            found.append(self.argument())
        return tuple(found)

    def argument(self) -> Argument:
        if not self.take("["):
            return self.item()
        found = replace(self.item(), optional=True)
        self.need("]")
        return replace(found, multiple=True, multiple_token=True) if self.take("dots") else found

    def item(self) -> Argument:
        """An argument with everything that may follow it."""
        if self.sees("token"):
            token = self.word("token")
            if self.sees("name") and not self.sees("name", "=", "token"):
                found = replace(self.value(), token=token)
            else:
                found = Argument(token.lower(), "pure-token", token)
        else:
            found = self.value()
        if self.take("dots"):
            found = replace(found, multiple=True)
        if version := self.take("since"):
            found = replace(found, since=version["from"] or "", deprecated=version["until"] or "")
        return found

    def value(self) -> Argument:
        """An argument that has a name of its own."""
        name = self.word("name")
        if self.take("="):
            return self.named(name)
        type_ = found["type"] if (found := self.take("type")) else "string"
        if type_ not in TYPES:
            raise self.fail()
        if spec := self.take("spec"):
            return Argument(name, type_, key_spec=int(spec["spec"]))
        return Argument(name, type_, key_spec=0 if type_ == "key" else None)

    def named(self, name: str) -> Argument:
        """What follows `name=`."""
        if self.sees("token"):
            return Argument(name, "pure-token", self.word("token"))
        if self.take("("):
            parts = self.sequence()
            self.need(")")
            return Argument(name, "block", arguments=parts)
        self.need("<")
        choices = [self.argument()]
        while self.take("|"):
            choices.append(self.argument())
        self.need(">")
        return Argument(name, "oneof", arguments=tuple(choices))

    def word(self, kind: str) -> str:
        """A name or token without its quotes."""
        return self.need(kind)[kind].strip("'\"")


def usage(arguments: Sequence[Argument]) -> str:
    """Arguments as a person reads them in HELP: `<key> [NX|XX] [LIMIT <offset> <count>]`."""
    return " ".join(_usage(argument) for argument in arguments)


def _usage(argument: Argument) -> str:
    if argument.type == "oneof":
        body = "|".join(_usage(choice) for choice in argument.arguments)
        if not argument.optional or argument.token is not None:
            body = f"({body})"
    elif argument.type == "block":
        body = usage(argument.arguments)
    elif argument.type == "pure-token":
        body = argument.token or '""'
    else:
        body = f"<{argument.name}>"
    if argument.multiple and not argument.multiple_token:
        body = f"{body} ..." if argument.type == "oneof" else f"{body} [{body} ...]"
    if argument.token is not None and argument.type != "pure-token":
        body = f"{argument.token} {body}"
    if argument.multiple_token:
        body = f"{body} [{body} ...]"
    return f"[{body}]" if argument.optional else body
