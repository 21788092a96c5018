"""The collector of development: takes spans as OTLP/JSON, keeps the newest, and prints the way of an order as a tree."""
