"""Both sides of the wire in one process, without an event loop."""
