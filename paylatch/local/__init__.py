"""A broker, a database, a bridge and phones as processes on this machine, for whoever plays to them or measures."""
