"""A load generator that costs little: raw connections, requests as ready-made bytes, latency from the moment a request was due."""
