"""
The types of the JSON forms, for checkers and for schemas such as that of the gateway.

Each is the type of what one `write_` function of the forms returns; a test compares the two. They
are apart from those, since the command line loads forms and never pydantic.
"""
