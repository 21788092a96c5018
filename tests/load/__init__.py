"""Loads, and what they measure: `make bench` and its parts."""
