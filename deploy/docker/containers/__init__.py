"""The shop in containers: the verbs of `deploy/shop` on Docker Compose."""
