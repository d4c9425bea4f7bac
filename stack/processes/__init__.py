"""Child processes: how they are started, watched, restarted and ended."""
