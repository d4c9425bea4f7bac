"""AI: what models are asked, and what it costs."""
