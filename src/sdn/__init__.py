"""A data-centre network in one Linux box, and proof that it obeys its policies."""

__version__ = "0.1.0"
