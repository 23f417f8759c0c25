"""MODULE: there are none, and none can be loaded, as they are libraries for the C server."""

from __future__ import annotations

from respcache.commands.configuration import check_allowed
from respcache.commands.help import help_reply
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import EMPTY_ARRAY
from respcache.registry import ADMIN, LOADING, NO_ASYNC_LOADING, NOSCRIPT, STALE, command, container
from respcache.state import Client

CANNOT_LOAD = ReplyError(b"ERR Error loading the extension. Please check the server logs.")
NO_SUCH_MODULE = ReplyError(b"ERR Error unloading module: no such module with that name")

MODULE = container("module", group="server", doc="Tells of modules. Since 4.0.0.")


@command(ADMIN | NOSCRIPT, group="server", container=MODULE, tips=("nondeterministic_output_order",))
def module_list(_c: Client) -> bytes:
    """The modules that are loaded: none. O(N). Since 4.0.0."""
    return EMPTY_ARRAY


@command(ADMIN | NOSCRIPT | NO_ASYNC_LOADING, group="server", container=MODULE, syntax="path [arg...]")
def module_load(c: Client, _path: bytes, *_arguments: bytes) -> bytes:
    """Refuses to load a module. O(1). Since 4.0.0."""
    check_allowed(c, "MODULE", "enable-module-command")
    raise CANNOT_LOAD


@command(
    ADMIN | NOSCRIPT | NO_ASYNC_LOADING,
    group="server",
    container=MODULE,
    syntax="path [CONFIG configs=(name value)]... [ARGS args=(arg)...]",
)
def module_loadex(c: Client, _path: bytes, *_arguments: bytes) -> bytes:
    """Refuses to load a module with a configuration. O(1). Since 7.0.0."""
    check_allowed(c, "MODULE", "enable-module-command")
    raise CANNOT_LOAD


@command(ADMIN | NOSCRIPT | NO_ASYNC_LOADING, group="server", container=MODULE, syntax="name")
def module_unload(c: Client, _name: bytes) -> bytes:
    """Refuses to unload a module that is not there. O(1). Since 4.0.0."""
    check_allowed(c, "MODULE", "enable-module-command")
    raise NO_SUCH_MODULE


@command(LOADING | STALE, group="server", container=MODULE)
def module_help(_c: Client) -> bytes:
    """The subcommands of MODULE. O(1). Since 5.0.0."""
    return help_reply(MODULE)
