"""The keys of `openclaw.json`: types, defaults and descriptions, a module for each section."""
