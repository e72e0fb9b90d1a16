"""Which records say nearly the same: found by their vectors and texts, told in groups."""
