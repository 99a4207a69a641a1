"""bnnpan over archives: every scene of a catalogue becomes a product, by a `bnnpan fuse` of its own."""
