"""Commands of the ground side, found by `bnnpan` through the entry-point group `bnnpan.commands`."""
