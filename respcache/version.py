"""The version of this package, and the version of Redis that it speaks like."""

__version__ = "0.1.0"

REDIS_VERSION = "7.4.0"
"""What INFO, HELLO and LOLWUT name as `redis_version`: clients switch features on it."""
