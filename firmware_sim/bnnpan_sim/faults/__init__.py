"""Faults on purpose: each is seeded, tried on a real run, and judged by the product that comes of it."""
