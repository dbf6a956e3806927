"""Simulated phones: one pure core, and fleets of them on real connections."""
