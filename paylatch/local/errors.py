"""What can go wrong with what runs on this machine.

LocalRunError
├── LocalRunUsageError
├── BrokerError (broker_process)
└── PostgresError (postgres_process)
"""


class LocalRunError(Exception):
    """Something did not start, did not do its part in time, or ended by itself; the message says what, and why."""


class LocalRunUsageError(LocalRunError):
    """Nothing can start with the directory or the database that was named."""
