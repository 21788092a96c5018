"""A small payment service for development and tests: intents, refunds, signed webhooks, 3-D Secure.

It stands where a real provider would stand, on the other side of HTTP: it shares no database, no model and no
import with `payments`. No real money moves. It refuses to start when ENVIRONMENT is prod.
"""
