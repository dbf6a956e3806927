"""Policies as TOML documents: reading them strictly, and the profiles that ship."""
