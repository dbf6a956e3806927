"""Use cases of the bridge and the ports they need."""
