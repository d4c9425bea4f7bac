"""Identity: who is here, what they may do, and the proof of what they did."""
