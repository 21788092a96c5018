"""Django's PostgreSQL without a PostgreSQL: it says which statements a migration would send, and sends none."""
