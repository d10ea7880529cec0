"""The wing of inference: arrays in, arrays out. Solver, objectives, uncertainty, choice."""
