"""Random (world, flow) pairs, answered by the oracle and by the plan."""
