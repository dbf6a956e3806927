"""Thousands of phones in one process."""
