"""What the operating system tells of this process: memory and processor time.

The figures are those of the whole process. For a server that is embedded in another program they include that
program, because Python does not say which of its parts an allocation belongs to.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import NamedTuple

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_STATM = "/proc/self/statm"
"""Linux: sizes in pages, the second one is what is resident."""
_KILO = 1 if sys.platform == "darwin" else 1024
"""The unit of `ru_maxrss`: kilobytes, but bytes on macOS."""


class CpuTimes(NamedTuple):
    """Seconds of processor time."""

    system: float = 0.0
    user: float = 0.0


def resident_memory() -> int:
    """Bytes of memory in use; the peak where the system does not tell, 0 where it tells nothing."""
    try:
        with open(_STATM, "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return _highest()


def peak_memory(now: int) -> int:
    """The most bytes of memory that were ever in use, given what is in use now."""
    return max(now, _highest())


def system_memory() -> int:
    """Bytes of memory of the machine; 0 if it is not known."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE")
    except (AttributeError, OSError, ValueError):
        return 0


def release_memory() -> None:
    """Gives memory that the C library holds free back to the system, where it can be asked to."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc; musl has none
        if trim is not None:
            trim(0)


def cpu_times() -> tuple[CpuTimes, CpuTimes, CpuTimes | None]:
    """Time of the process, of its children that have ended, and of this thread where the system tells it."""
    if resource is None:
        times = os.times()
        children = CpuTimes(times.children_system, times.children_user)
        return CpuTimes(times.system, times.user), children, None
    thread = _usage(resource.RUSAGE_THREAD) if hasattr(resource, "RUSAGE_THREAD") else None
    return _usage(resource.RUSAGE_SELF), _usage(resource.RUSAGE_CHILDREN), thread


def _usage(who: int) -> CpuTimes:
    usage = resource.getrusage(who)
    return CpuTimes(usage.ru_stime, usage.ru_utime)


def _highest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KILO if resource is not None else 0


STARTUP_MEMORY = resident_memory()
"""Bytes in use when this module was imported: the interpreter and most of the server, no data."""
