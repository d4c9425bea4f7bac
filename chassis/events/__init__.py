"""Events: out of the outbox into a stream, out of streams into handlers. Modules are named whole: the edge needs few of them."""
