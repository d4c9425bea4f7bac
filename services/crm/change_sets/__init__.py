"""Change sets: how records were before they were changed together, so that the change can be undone together."""
