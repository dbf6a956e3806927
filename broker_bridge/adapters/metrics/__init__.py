"""What the bridge counts and times, for Prometheus; the only place that knows its library.

Use cases know nothing of it. What they count anyway (`Outbox.depth`, `Listener.refusals`) is read when somebody asks;
what has to be timed is reported to it after the fact. So a bridge that nobody watches pays next to nothing.
"""
