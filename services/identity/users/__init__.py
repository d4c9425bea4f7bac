"""People with one sign-in each, and their passwords."""
