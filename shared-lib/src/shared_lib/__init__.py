"""What every service of the shop stands on. Holds no shop logic; imports no service."""
