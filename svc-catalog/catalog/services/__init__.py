"""Every write of the catalog."""
