"""The product's own tables: principals, acts already answered, view and export builds, tag values."""
