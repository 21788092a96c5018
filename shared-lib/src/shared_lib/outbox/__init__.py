"""The outbox: events written with the state they tell of, and the relay that brings them to RabbitMQ."""
