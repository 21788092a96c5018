"""Deliberate breaks: mistakes that somebody could make, and the tests that must then fail. See README.md."""
