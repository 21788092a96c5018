"""The mail catcher of dev: takes every message by SMTP, delivers none, and shows them on a page and as JSON."""
