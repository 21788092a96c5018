"""What `make release` says when it cannot go on."""


class Refused(Exception):
    """One sentence, or one a line, that says what is wrong and what to do; exit code 1, nothing has changed."""
