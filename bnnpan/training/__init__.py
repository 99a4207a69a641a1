"""Training: what each stage learns (`stages`), how it steps (`trainer`) and what is kept (`keeper`)."""

from bnnpan.training.loop import train

__all__ = ["train"]
