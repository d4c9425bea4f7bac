"""Search misses: what people searched for and did not find."""
