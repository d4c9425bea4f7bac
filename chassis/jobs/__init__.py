"""What a service does by the clock: kept in its own database, done by one of its processes at a time."""

from chassis.jobs.worker import Job, Jobs

__all__ = ["Job", "Jobs"]
