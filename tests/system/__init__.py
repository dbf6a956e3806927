"""The whole system, as a person starts it."""
