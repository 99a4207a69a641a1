"""Level 2: a board's own instructions. Real aarch64 wheels under qemu's user mode, without root."""
