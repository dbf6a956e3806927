"""A log for the bridge's own code where it runs outside a bridge."""

import logging
import sys

import structlog

from broker_bridge.app.ports.surroundings import Log


def quiet_log() -> Log:
    """Return a log of what goes wrong alone."""
    level = structlog.make_filtering_bound_logger(logging.WARNING)
    log: Log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), wrapper_class=level)
    return log
