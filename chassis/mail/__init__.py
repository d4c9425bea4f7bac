"""Mail to people: put into the transaction that it tells of, sent after its commit, at least once."""

from chassis.mail.kinds import Kind, Mail
from chassis.mail.post import Post

__all__ = ["Kind", "Mail", "Post"]
