"""Starts as any process of a service does, and ends."""

import django

if __name__ == "__main__":
    django.setup()
