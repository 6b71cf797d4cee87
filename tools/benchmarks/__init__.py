"""How fast it is, always beside a peer or a floor that was measured in the same run."""
