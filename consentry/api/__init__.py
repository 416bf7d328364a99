"""The HTTP API under /v1: one router a resource, problem+json, single-role keys and person tokens."""
