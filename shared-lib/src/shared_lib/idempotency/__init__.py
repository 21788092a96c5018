"""Django app that remembers which requests with an `Idempotency-Key` were answered. Used through `shared_lib.api.idempotency`."""
