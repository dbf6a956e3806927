"""Tests of everything, sorted by what they need."""
