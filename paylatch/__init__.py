"""What a person runs: the command line, the demo, and their judges."""
