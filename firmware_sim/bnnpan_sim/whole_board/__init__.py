"""Level 3: a whole board, with its memory and cores, Debian's kernel, disks of its own, a real OOM killer."""
