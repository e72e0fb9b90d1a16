"""What conversations say is kept or put before a person, and told again as data (decision 33)."""
