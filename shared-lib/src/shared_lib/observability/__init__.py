"""What a service shows of itself: JSON logs, Prometheus metrics, request ids, request times."""
