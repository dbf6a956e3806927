"""The parts of `paylatch` that need nothing but themselves."""
