"""Back up and restore: six databases at one moment, pictures, the sandbox provider's books, keys; docs/backup.md tells why so."""
