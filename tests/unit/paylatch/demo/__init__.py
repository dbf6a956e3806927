"""The parts of the demo that need nothing but themselves."""
