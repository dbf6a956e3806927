"""The bridge's ports, implemented on real technology."""
