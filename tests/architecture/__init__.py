"""Tests of the code's own shape, where an import contract cannot say it."""
