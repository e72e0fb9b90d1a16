"""
Plugins: tools and hooks that others bring (specification, "memory-lancedb Extension").

`host.Plugins` finds, loads and lists them; `contract` is what the author of one writes against.
"""
