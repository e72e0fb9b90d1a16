"""JSON5 text as a value to read and to edit in place: comments, order and spelling stay."""
