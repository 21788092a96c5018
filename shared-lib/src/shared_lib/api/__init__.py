"""What every endpoint of every service shares: errors, lists, permissions, idempotency, ETags, health."""
