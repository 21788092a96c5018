"""HTTP of the catalog: public below /api/v1/catalog, internal below /internal/v1."""
