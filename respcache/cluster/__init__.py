"""The cluster as a node thinks of it: its view, the messages of the bus, failure detection, elections."""
