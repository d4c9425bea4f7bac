"""The operator's side: the `kith` command and what it starts."""
