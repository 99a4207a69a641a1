"""The network between checkpoint and files: a chain of typed layers that every pass takes and gives."""
