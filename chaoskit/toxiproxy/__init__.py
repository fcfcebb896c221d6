"""Where links bend: a typed client, link control, and an embedded server with the same REST API."""
