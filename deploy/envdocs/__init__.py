"""docs/settings.md: every environment variable that anything here reads, from the code that reads it."""
