"""The REST edge: reads the contract's descriptors and transcodes HTTP to gRPC; knows no service by name."""

from chassis import loading as loading  # before the first library
