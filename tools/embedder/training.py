"""Rows moved until texts that mean the same have vectors side by side (contrastive training)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Rows = NDArray[np.float32]

_TEMPERATURE = 0.05
_BATCH = 512
_WARM = 100  # steps until the full rate
_QUERY_RARE = 2e-3  # the left side is weighted as a query is


@dataclass(frozen=True)
class Task:
    """Pairs as counts of rows, a text each line; *groups* tells equal left texts apart."""

    name: str
    left: sparse.csr_matrix
    right: sparse.csr_matrix
    groups: NDArray[np.int64]
    chances: NDArray[np.float64] | None = None
    """The running sum of how likely each pair is drawn; None for all alike."""
    fixed: int = 0
    """How many rows at the start of the table this task does not move."""


def counted(texts: Sequence[str], rows: Callable[[str], list[int]], size: int) -> sparse.csr_matrix:
    """Return how often each of *size* rows is in each text."""
    ids: list[int] = []
    ends = [0]
    for text in texts:
        ids += rows(text)
        ends.append(len(ids))
    matrix = sparse.csr_matrix(
        (np.ones(len(ids), np.float32), np.array(ids, np.int32), np.array(ends)),
        shape=(len(texts), size),
    )
    matrix.sum_duplicates()
    return matrix


def as_queries(matrix: sparse.csr_matrix, frequencies: NDArray[np.float64]) -> sparse.csr_matrix:
    """Return *matrix* with each row of the table weighted by its rarity."""
    weights = (_QUERY_RARE / (_QUERY_RARE + frequencies)).astype(np.float32)
    return (matrix @ sparse.diags(weights)).tocsr()


class Trainer:
    """Adam over the rows that a batch touches."""

    def __init__(self, rows: Rows, seed: int) -> None:
        self.rows = rows
        self._first = np.zeros_like(rows)
        self._second = np.zeros_like(rows)
        self._chance = np.random.default_rng(seed)
        self._steps = 0
        self._places = np.zeros(len(rows), np.int64)

    def train(
        self, tasks: Sequence[Task], steps: int, rate: float, report: Callable[[str], None]
    ) -> None:
        """Make *steps* steps of every task, at a *rate* that falls to nothing."""
        losses = dict.fromkeys((task.name for task in tasks), 0.0)
        for step in range(steps):
            now = rate * min(1.0, (step + 1) / _WARM) * (1 - step / steps)
            for task in tasks:
                loss = self._step(task, now)
                losses[task.name] = 0.98 * losses[task.name] + 0.02 * loss
            if (step + 1) % 200 == 0:
                report(f"step {step + 1}: { ({k: round(v, 3) for k, v in losses.items()}) }")

    def _step(self, task: Task, rate: float) -> float:
        if task.chances is None:
            chosen = self._chance.integers(task.left.shape[0], size=_BATCH)
        else:
            chosen = np.searchsorted(task.chances, self._chance.random(_BATCH) * task.chances[-1])
        left, right = task.left[chosen], task.right[chosen]
        touched = np.unique(np.concatenate([left.indices, right.indices]))
        self._places[touched] = np.arange(len(touched))
        size = (len(chosen), len(touched))
        left = sparse.csr_matrix((left.data, self._places[left.indices], left.indptr), shape=size)
        right = sparse.csr_matrix(
            (right.data, self._places[right.indices], right.indptr), shape=size
        )
        rows = self.rows[touched]
        one, one_length = _unit(left @ rows)
        other, other_length = _unit(right @ rows)
        likeness = one @ other.T / np.float32(_TEMPERATURE)
        same = task.groups[chosen]
        # Another pair of the same text is no counterexample.
        likeness[(same[:, np.newaxis] == same) & ~np.eye(len(same), dtype=bool)] = -1e4
        forward, backward = _shares(likeness), _shares(likeness.T).T
        right_ones = np.eye(len(chosen), dtype=np.float32)
        scale = np.float32(2 * _TEMPERATURE * len(chosen))
        slope: Rows = ((forward + backward - 2 * right_ones) / scale).astype(np.float32)
        change = left.T @ _through(slope @ other, one, one_length)
        change += right.T @ _through(slope.T @ one, other, other_length)
        moved = int(np.searchsorted(touched, task.fixed))
        self._move(touched[moved:], change[moved:], rate)
        hits = np.diag(forward) * np.diag(backward)
        return float(-0.5 * np.log(hits + 1e-12).mean())

    def _move(self, touched: NDArray[np.int64], change: Rows, rate: float) -> None:
        first = 0.9 * self._first[touched] + 0.1 * change
        second = 0.999 * self._second[touched] + 0.001 * change * change
        self._first[touched], self._second[touched] = first, second
        self._steps += 1
        first = first / (1 - 0.9**self._steps)
        second = second / (1 - 0.999**self._steps)
        self.rows[touched] -= (rate * first / (np.sqrt(second) + 1e-8)).astype(np.float32)


def _unit(sums: Rows) -> tuple[Rows, Rows]:
    lengths = np.sqrt((sums * sums).sum(1, keepdims=True)) + np.float32(1e-9)
    return sums / lengths, lengths


def _through(slope: Rows, unit: Rows, lengths: Rows) -> Rows:
    """Return the slope before the vectors were made unit."""
    result: Rows = (slope - unit * (slope * unit).sum(1, keepdims=True)) / lengths
    return result


def _shares(likeness: Rows) -> Rows:
    shares = np.exp(likeness - likeness.max(1, keepdims=True))
    result: Rows = shares / shares.sum(1, keepdims=True)
    return result
