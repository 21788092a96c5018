"""The descriptions that the gateway serves: OpenAPI of all services merged, AsyncAPI of all events, and their pages."""
