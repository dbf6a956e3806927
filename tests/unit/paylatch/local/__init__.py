"""The parts of what runs on this machine that need nothing but themselves."""
