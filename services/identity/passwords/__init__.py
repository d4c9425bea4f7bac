"""Another password: by a mailed link, or by the one in use."""
