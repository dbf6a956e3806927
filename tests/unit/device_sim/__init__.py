"""The simulated phones, without a network."""
