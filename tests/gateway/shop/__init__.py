"""A contract for tests alone, served by a gRPC server in this process."""
