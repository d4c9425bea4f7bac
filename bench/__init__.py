"""Measurements, never run as tests: Kith's hot path beside the monolith that a good team would write instead."""
