"""The size of an append-only file, and when it has grown so much that it is to be rewritten."""

from __future__ import annotations

from respcache.config import Config
from respcache.persistence.aof import AofDirectory, Log

NEVER = 1 << 62
"""More bytes than any file has."""


class Growth:
    """Bytes of all files together. How many the open one has, which grows all the time, is told with each question."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._others = 0  # bytes of all files but the open one
        self.base = 0
        """Bytes of all files after the last rewrite, or at start."""

    def count(self, directory: AofDirectory, file: Log, as_base: bool = False) -> None:
        """Looks at the sizes of all files, of which `file` is the open one."""
        parts = directory.manifest.parts
        self._others = directory.size([part for part in parts if directory.file(part.name) != file.path])
        if as_base:
            self.base = self.size(file)

    def size(self, file: Log | None) -> int:
        """Bytes of all files."""
        return self._others + (file.size if file is not None else 0)

    def percent(self, file: Log | None) -> int:
        """Growth since the last rewrite."""
        return self.size(file) * 100 // (self.base or 1) - 100

    @property
    def limit(self) -> int:
        """Bytes of the open file from which on a rewrite is due; `NEVER` if they are off."""
        percentage = self._config.auto_aof_rewrite_percentage
        if not percentage:
            return NEVER
        grown = (self.base or 1) * (100 + percentage) // 100
        return max(int(max(grown, self._config.auto_aof_rewrite_min_size + 1)) - self._others, 0)
