"""Whether a node answers: how many failures in a row eject it, and what brings it back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """The state of a node at a moment; another state is another object.

    `up`: it is asked. `failures`: how often in a row it did not answer. `error`: the last reason.
    """

    up: bool = True
    failures: int = 0
    error: str | None = None

    def failed(self, reason: str, limit: int) -> Health:
        """After another failure: down from `limit` in a row on."""
        failures = self.failures + 1
        return Health(self.up and failures < limit, failures, reason)

    def answered(self) -> Health:
        """After an answer: one is enough."""
        return WELL


WELL = Health()
