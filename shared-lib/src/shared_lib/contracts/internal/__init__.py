"""Payloads of the internal HTTP API (`/internal/v1/...`), one module for each callee."""
