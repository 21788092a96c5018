"""What every service of the shop stands on. Holds no shop logic; imports no service."""

#: As pyproject.toml has it. The wheel's contents change: so must this.
__version__ = "0.1.0"
