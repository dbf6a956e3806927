"""One phone as a pure step function."""
