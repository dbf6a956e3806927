"""Tests that need neither network nor disk beyond a temporary directory."""
