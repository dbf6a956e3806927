"""The phones' ports, implemented on real technology."""
