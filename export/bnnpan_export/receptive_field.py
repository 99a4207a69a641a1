"""How far a pixel of the product can see, read off the exported graph itself.

Each tensor that depends on the input images gets, per spatial axis, a `Reach`: pixel k of it depends on input
pixels `step * k - before` to `step * k + after` at most. Functions are inlined before the walk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx
from onnx import ModelProto, NodeProto, helper, inliner, numpy_helper

from bnnpan_runtime.errors import VerificationError

__all__ = ["Reach", "halo", "receptive_field_radius"]

_PROBE_SIZE = (1502, 1746)
"""Height and width for shape inference: even, and unlike any channel count."""
_POINTWISE = {
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Sqrt",
    "Neg",
    "Abs",
    "Less",
    "Where",
    "PRelu",
    "Relu",
    "LeakyRelu",
    "Identity",
}
_RELABELLING = {"Reshape", "Unsqueeze", "Squeeze", "Split", "Concat"}
"""Fine while height and width stay the last two axes, which is checked on the shapes."""


@dataclass(frozen=True)
class Reach:
    """Input pixels `step * k - before` to `step * k + after`, along one axis."""

    step: int = 1
    before: int = 0
    after: int = 0

    def union(self, other: Reach) -> Reach:
        """Both together; they must lie on the same grid."""
        if self.step != other.step:
            raise VerificationError(
                f"fuse graph: grids of step {self.step} and {other.step} meet: check the graph"
            )
        return Reach(self.step, max(self.before, other.before), max(self.after, other.after))

    def convolved(self, kernel: int, padding: int, dilation: int, stride: int) -> Reach:
        """After a convolution along this axis, `padding` pixels added at the beginning."""
        before = self.before + self.step * padding
        after = self.after + self.step * (dilation * (kernel - 1) - padding)
        return Reach(self.step * stride, before, after)

    def gathered(self, cell: int) -> Reach:
        """After cells of `cell` pixels have become one pixel."""
        return Reach(self.step * cell, self.before, self.after + self.step * (cell - 1))

    def spread(self, cell: int) -> Reach:
        """After every pixel has become `cell` of them."""
        step = self.step // cell
        return Reach(step, self.before + step * (cell - 1), self.after)


_Reaches = tuple[Reach, Reach]


def halo(model: ModelProto) -> int:
    """Receptive-field radius rounded up to even, so that windows stay aligned to the Haar cells."""
    radius = receptive_field_radius(model)
    return radius + radius % 2


def receptive_field_radius(model: ModelProto) -> int:
    """Largest distance in PAN pixels at which an input can change an output, over both axes and directions.

    Valid for windows that begin on even rows and columns. Raises `VerificationError` for an operator whose
    reach is not known, one that mixes all pixels, or an output that does not lie on the input's grid.
    """
    flat = inliner.inline_local_functions(_with_size(model, *_PROBE_SIZE))
    walk = _Walk(onnx.shape_inference.infer_shapes(flat, strict_mode=True, data_prop=True))
    reaches = walk.result()
    if any(reach.step != 1 for reach in reaches):
        raise VerificationError("fuse graph: its output is not on the PAN grid: check the graph")
    return max(max(reach.before, reach.after) for reach in reaches)


class _Walk:
    """One pass over the nodes of a flat graph."""

    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        values = [*graph.input, *graph.value_info, *graph.output]
        self._shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
        self._shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        self._constants = {
            node.output[0]: numpy_helper.to_array(helper.get_node_attr_value(node, "value"))
            for node in graph.node
            if node.op_type == "Constant" and node.attribute[0].name == "value"
        }
        self._reaches: dict[str, _Reaches] = {
            v.name: (Reach(), Reach()) for v in graph.input if self._shapes[v.name][-2:] == list(_PROBE_SIZE)
        }
        self._graph = graph

    def result(self) -> _Reaches:
        """Reach of the graph's output along rows and columns."""
        for node in self._graph.node:
            image_inputs = [name for name in node.input if name in self._reaches]
            if image_inputs and node.op_type != "Shape":
                reaches = self._after(node, image_inputs)
                for output in node.output:
                    self._check_grid(node, output, reaches)
                    self._reaches[output] = reaches
        return self._reaches[self._graph.output[0].name]

    def _after(self, node: NodeProto, inputs: Sequence[str]) -> _Reaches:
        rows, cols = self._reaches[inputs[0]]
        for name in inputs[1:]:
            rows, cols = rows.union(self._reaches[name][0]), cols.union(self._reaches[name][1])
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        kind = node.op_type
        if kind in _POINTWISE or kind in _RELABELLING:
            return rows, cols
        if kind == "ReduceMean" and self._keeps_pixels(node):
            return rows, cols
        if (
            kind == "Conv"
            and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
            and list(inputs) == [node.input[0]]
        ):
            return _convolved(rows, cols, attributes, self._shapes[node.input[1]])
        if kind in ("SpaceToDepth", "DepthToSpace"):
            change: Callable[[Reach, int], Reach] = Reach.gathered if kind == "SpaceToDepth" else Reach.spread
            return change(rows, attributes["blocksize"]), change(cols, attributes["blocksize"])
        raise VerificationError(f"fuse graph: reach of {kind} node {node.name!r} is not known: add it")

    def _keeps_pixels(self, node: NodeProto) -> bool:
        rank = len(self._shapes[node.input[0]])
        axes = self._constants.get(node.input[1]) if len(node.input) > 1 else None
        return axes is not None and all(int(axis) % rank < rank - 2 for axis in axes)

    def _check_grid(self, node: NodeProto, output: str, reaches: _Reaches) -> None:
        expected = [size // reach.step for size, reach in zip(_PROBE_SIZE, reaches, strict=True)]
        if self._shapes.get(output, [])[-2:] != expected:
            raise VerificationError(
                f"fuse graph: {node.op_type} node {node.name!r} moves pixels: its reach is not known"
            )


def _convolved(rows: Reach, cols: Reach, attributes: dict[str, list[int]], weight: list[int]) -> _Reaches:
    kernel = attributes.get("kernel_shape", weight[-2:])
    pads = attributes.get("pads", [0, 0, 0, 0])
    dilations, strides = attributes.get("dilations", [1, 1]), attributes.get("strides", [1, 1])
    first, second = (
        reach.convolved(kernel[axis], pads[axis], dilations[axis], strides[axis])
        for axis, reach in enumerate((rows, cols))
    )
    return first, second


def _with_size(model: ModelProto, height: int, width: int) -> ModelProto:
    sized = ModelProto()
    sized.CopyFrom(model)
    del sized.graph.value_info[:]
    for value in [*sized.graph.input, *sized.graph.output]:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in ("height", "width"):
                dimension.dim_value = height if dimension.dim_param == "height" else width
    return sized
