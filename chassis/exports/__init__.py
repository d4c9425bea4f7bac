"""Exports: the records of a list as a file that streams, in the forms that kith.common.v1.ExportFormat names."""

from chassis.exports.stream import Export

__all__ = ["Export"]
