"""The bridge's pure parts, and what it reads at its start."""
