"""The inbox: every event takes effect once, whatever the wire does; what fails is kept as a row."""
