"""Calendar: when people are free, and what they booked."""
