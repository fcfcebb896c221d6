"""Why a request could not be served. Neither is ever mistaken for "there is no such link"."""


class Unavailable(Exception):
    """A dependency did not do its part in time; what was to be written may or may not have been."""


class Overloaded(Exception):
    """Turned away before anything was done: too many requests wait for the database already."""
