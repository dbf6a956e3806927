"""Tests of the protocol core: golden files, hostile bytes, and the documents that describe both."""
