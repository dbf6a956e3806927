"""Durable storage; the only place that knows the database."""
