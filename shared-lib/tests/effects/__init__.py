"""A domain of its own for the tests of events: it counts what its handlers did."""
