"""A URL shortener: an HTTP API in front of PostgreSQL, with Valkey as its cache."""
