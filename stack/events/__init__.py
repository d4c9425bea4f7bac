"""What operators do about events: see those that could not be handled, have them handled again, or not at all."""
