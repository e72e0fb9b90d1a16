"""All that is remembered as points of a plane, those alike near each other (decision 064)."""
