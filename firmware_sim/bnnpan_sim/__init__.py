"""Emulated boards: the same runtime under the limits of a satellite's small computer."""
