"""What crosses a service boundary: typed events, payloads of internal HTTP, and their frozen JSON Schemas.

Data only, never models. A contract changes by adding optional fields; anything else is a new version beside the old one.
"""
