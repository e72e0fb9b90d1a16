"""Layers of a configuration, one over the other: which file holds a value that counts."""

from __future__ import annotations

from collections.abc import Sequence

from clawstate.config.includes import Layer
from clawstate.config.provenance import Trace
from clawstate.json5.path_grammar import KeyPath


def layers_of(config: Layer, overlay: Layer, own: Layer | None) -> tuple[Layer, ...]:
    """Return the layers of a configuration, the strongest last."""
    return (config, overlay) if own is None else (config, overlay, own)


class Stacked:
    """The traces of all *layers*, the strongest last."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(reversed(layers))

    def at(self, path: KeyPath) -> Trace | None:
        """Return what made the value at *path* in the strongest layer that has it."""
        traces = (layer.provenance.at(path) for layer in self._layers)
        return next((trace for trace in traces if trace is not None), None)

    def nearest(self, path: KeyPath) -> tuple[KeyPath, Trace | None]:
        """
        Return the longest beginning of *path* that any layer has, and what made it there.

        Of two layers that know as much of it, the stronger one answers.
        """
        found = [layer.provenance.nearest(path) for layer in self._layers]
        return max(found, key=lambda each: (each[1] is not None, len(each[0])))
