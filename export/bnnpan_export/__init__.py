"""From a trained checkpoint to one `.bnnpan` file: freeze, write the graphs, measure parity, pack."""
