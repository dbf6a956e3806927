"""The command line's groups, a module each. Data goes to standard output, messages to standard error.

Each command imports what it needs when it runs, so that `--help` is quick.
"""
