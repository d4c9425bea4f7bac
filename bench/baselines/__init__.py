"""What Kith is measured against: the same endpoints, with the same duties, written the usual way."""
