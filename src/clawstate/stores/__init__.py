"""What is kept beside memory and configuration, and its rules: one kind of state a package."""
