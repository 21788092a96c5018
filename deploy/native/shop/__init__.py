"""The shop as host processes: real PostgreSQL, Redis, RabbitMQ and Nginx under one supervisor, in one state folder."""
