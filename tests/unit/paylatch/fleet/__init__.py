"""The parts of load tests that need nothing but themselves."""
