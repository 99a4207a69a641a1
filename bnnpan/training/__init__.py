"""Training: what each stage learns (`stages`), and the loop that runs them (`loop`)."""

from bnnpan.training.loop import train

__all__ = ["train"]
