"""What the runner says to a person when it cannot go on."""


class Problem(Exception):
    """One sentence that says what is wrong and what to do; printed as it is, exit code 1."""
