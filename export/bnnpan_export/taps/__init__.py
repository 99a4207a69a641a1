"""Looking into every form of a network, tap by tap, without a line for it in what flies."""
