"""A list of ONNX nodes under construction: names given once, constants shared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import AttributeProto, NodeProto, helper, numpy_helper

__all__ = ["DOMAIN", "DOMAIN_VERSION", "OPSET", "AttributeReference", "NodeList", "opset_imports"]

OPSET = 18
"""BitwiseAnd needs it; ONNX Runtime 1.14 and later run it."""
DOMAIN = "ai.bnnpan"
DOMAIN_VERSION = 1

_LONGEST_NAME = 8
"""Values in the name of a constant."""


class AttributeReference:
    """An attribute whose value is the enclosing function's attribute `name`, of an `AttributeProto` type."""

    def __init__(self, name: str, kind: int) -> None:
        self.name = name
        self.kind = kind

    def proto(self, own_name: str) -> AttributeProto:
        """As attribute `own_name` of a node inside that function."""
        return AttributeProto(name=own_name, ref_attr_name=self.name, type=self.kind)


class NodeList:
    """Nodes of one graph or function body, in order of computation.

    Every method that adds a node returns the name of its output. Unnamed outputs are numbered by operator, so
    that the same calls give the same names.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self._counts: dict[str, int] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output."""
        return self.add_split(operator, *inputs, outputs=[output or self._fresh(operator)], **attributes)[0]

    def add_split(self, operator: str, *inputs: str, outputs: list[str], **attributes: Any) -> list[str]:
        """Add a node with several outputs; an operator `domain::name` is one of another domain."""
        domain, _, name = operator.rpartition("::")
        plain = {k: v for k, v in attributes.items() if not isinstance(v, AttributeReference)}
        node = helper.make_node(name, inputs, outputs, outputs[0], domain=domain or None, **plain)
        for key, value in attributes.items():
            if isinstance(value, AttributeReference):
                node.attribute.append(value.proto(key))
        self.nodes.append(node)
        return outputs

    def constant(self, value: ArrayLike, dtype: type[np.generic]) -> str:
        """A constant tensor; equal constants are one node."""
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._unused(_constant_name(array))
            self.add_split("Constant", outputs=[name], value=numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]

    def integers(self, *values: int) -> str:
        """A 1-D int64 constant: axes, shapes, positions."""
        return self.constant(values, np.int64)

    def floats(self, value: ArrayLike) -> str:
        """A float32 constant."""
        return self.constant(value, np.float32)

    def part(self, tensor: str, index: int, output: str | None = None) -> str:
        """`tensor[index]`: the first axis goes."""
        return self.add("Gather", tensor, self.constant(index, np.int64), axis=0, output=output)

    def _unused(self, name: str) -> str:
        """The name, numbered where another constant begins with the same values or has another shape."""
        self._counts[name] = self._counts.get(name, 0) + 1
        return name if self._counts[name] == 1 else f"{name}_{self._counts[name]}"

    def _fresh(self, operator: str) -> str:
        stem = operator.rpartition("::")[2].lower()
        self._counts[stem] = self._counts.get(stem, 0) + 1
        return f"{stem}_{self._counts[stem]}"


def _constant_name(array: NDArray[Any]) -> str:
    """Type and first values, as an identifier: what one wants to know in a picture of the graph."""
    values = "_".join(f"{value:g}" for value in array.reshape(-1)[:_LONGEST_NAME])
    return f"{array.dtype.name}_{values}".replace("-", "minus").replace(".", "p").replace("+", "")


def opset_imports() -> list[Any]:
    """The standard operators and this project's own domain."""
    return [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
