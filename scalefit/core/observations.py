"""The runs as the engine sees them: checked float64 arrays, in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from scalefit.core.records import dataclass, replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    IntArray = NDArray[np.int64]
    BoolArray = NDArray[np.bool_]
else:
    Array = IntArray = BoolArray = np.ndarray  # nobody asks at run time what is in them


@dataclass(frozen=True, eq=False)
class Observations:
    """What a law is fitted to: n rows of inputs and a loss.

    Rows stand in a fixed order (inputs, then loss), so the order of the file changes no bit.

    Attributes:
        inputs: Input of the law to its values, each shape (n,), positive.
        loss: Final loss, shape (n,), positive for objectives on the log loss.
        weight: Row weights, shape (n,), >= 0, of mean 1 over those above 0.
        cluster: Independent unit of each row as 0..G-1, shape (n,).
        row: Number of each row in the source, counted from 1 below the header, shape (n,).
        scale: What distance beyond the data is measured in, shape (n,): training compute in FLOP
            for laws of N and D where it is known or derivable, else the law's first input.
        scale_name: Role of `scale`, as words use it.
        cluster_name: What was taken for one independent unit: `run`, `row`, a role or a column.
        nats: Whether the loss is a language model's in nats per token, and no training loss.
        beside: Numbers that are no input but say something of the rows, each shape (n,):
            `loss_se`, `tries`, codes of `run` and `group`, and of `setting` where runs were also
            set apart by what is no input.
    """

    inputs: Mapping[str, Array]
    loss: Array
    weight: Array
    cluster: IntArray
    row: IntArray
    scale: Array
    scale_name: str
    cluster_name: str = "run"
    nats: bool = False
    beside: Mapping[str, Array] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.loss.size)

    @property
    def clusters(self) -> int:
        """Number of independent units G."""
        return int(self.cluster.max()) + 1 if self.loss.size else 0

    def take(self, chosen: NDArray[np.bool_]) -> Observations:
        """The rows where `chosen` is true, with clusters numbered anew."""
        _, cluster = np.unique(self.cluster[chosen], return_inverse=True)
        return replace(
            self,
            inputs={name: values[chosen] for name, values in self.inputs.items()},
            loss=self.loss[chosen],
            weight=self.weight[chosen],
            cluster=cluster.astype(np.int64),
            row=self.row[chosen],
            scale=self.scale[chosen],
            beside={name: values[chosen] for name, values in self.beside.items()},
        )
