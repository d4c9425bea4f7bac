"""JSON as the platform writes it: the names, texts and numbers of proto3's JSON form, compiled once for each message type."""
