"""Files as clawstate keeps them: where they lie, how they are named, written and read."""
