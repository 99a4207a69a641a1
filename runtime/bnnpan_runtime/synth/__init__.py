"""Synthetic scenes that look like a camera's: what `bnnpan scene synth` writes."""
