"""The least operations that the mathematics asks of an estimator, to stand beside what a compiled program takes."""

from dataclasses import dataclass

from selftune.experiments.overhead.workload import layer_sizes


@dataclass(frozen=True)
class Floors:
    """Least matrix multiplications of an estimate, in units of a plain update.

    The optimizer's arithmetic is not counted. With small batches it is a part of the unit that most estimators do not
    repeat for each pass, and a measured figure can come out below its floor.

    `forward` is one pass through all layers, `inputs` the part of it that is not the first layer, whose input needs no
    derivative. A backward pass makes the derivative of every weight (`forward`) and of every activation (`inputs`).
    With many layers of one size `inputs` tends to `forward`, and the floors to those in the brackets.
    """

    forward: float
    inputs: float

    @classmethod
    def of(cls, width: int) -> "Floors":
        """Of the network of `workload`."""
        sizes = [n * m for n, m in layer_sizes(width)]
        return cls(float(sum(sizes)), float(sum(sizes[1:])))

    @property
    def plain(self) -> float:
        """A forward and a backward pass: the unit."""
        return 2 * self.forward + self.inputs

    @property
    def tangent(self) -> float:
        """The derivative of the forward pass in one direction."""
        return self.forward + self.inputs

    @property
    def hessian_vector(self) -> float:
        """The derivative of forward and backward pass in one direction, what they computed being at hand."""
        return 2 * self.forward + 4 * self.inputs

    def one_step(self, in_loss: bool) -> float:
        """Update, judge, and one tangent where a metaparameter stands in the loss [8/3]."""
        return (2 * self.plain + in_loss * self.tangent) / self.plain

    def next_batch(self, in_loss: bool, same_loss: bool) -> float:
        """One forward pass for update and judge, and one backward pass as well if their losses are one [7/3; 5/3]."""
        backward = self.forward + self.inputs
        cotangents = backward if same_loss else 2 * backward
        return (self.forward + cotangents + in_loss * self.tangent) / self.plain

    def window(self, unroll: int, *again: float) -> float:
        """`unroll` updates, their adjoints, one judge, and what is computed `again` at each update [3 + 1/K]."""
        return (self.plain + self.hessian_vector + sum(again)) / self.plain + 1 / unroll

    def forward_mode(self, unroll: int, count: int, tangent: float) -> float:
        """`unroll` updates with `count` tangents each, and one judge [1 + 3 M + 1/K]."""
        return (self.plain + count * tangent) / self.plain + 1 / unroll

    def bootstrapped(self, unroll: int, in_loss: bool) -> float:
        """`unroll` updates with adjoints, as many without, and one more for the target; over `2 unroll` updates."""
        adjoint = self.hessian_vector if unroll > 1 else in_loss * self.tangent
        return (2 * self.plain + adjoint + self.plain / unroll) / (2 * self.plain)

    def evolution(self, unroll: int, pairs: int, in_loss: bool) -> float:
        """`2 pairs + 1` windows of plain updates, each judged without a gradient [2 pairs + 1].

        All start from one state, so its first forward pass serves all, and its gradient too where no metaparameter
        stands in the loss.
        """
        shared = self.forward if in_loss else self.plain
        return (2 * pairs + 1) * (1 + self.forward / self.plain / unroll) - 2 * pairs * shared / self.plain / unroll

    def neumann(self, unroll: int, in_loss: bool) -> float:
        """`unroll` updates, a judge, a gradient at the solution, `unroll` Hessian-vector products and the last one."""
        once = self.plain + self.tangent + in_loss * self.tangent
        return (self.plain + self.hessian_vector + once / unroll) / self.plain
