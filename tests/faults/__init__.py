"""Tests that break the running stack: processes, stores, connections and webhooks, while buyers check out. See docs/faults.md."""
