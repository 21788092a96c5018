"""Who asks: stateless users from access tokens, and services from service tokens."""
