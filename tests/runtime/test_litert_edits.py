"""Graphs that are nearly the exporter's: the delegate takes only what it computes exactly as written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from litert_edits import CHANNELS, consumers, edited, operators, own_constant, shape_of
from litert_graphs import convolution_options, custom_options, litert_schema
from litert_runs import BLOCKS, WINDOW, assert_close, images, run, run_in_larq
from requirements import require_package

require_package("ai_edge_litert")


def convolution_of_first_unit(model: Any) -> Any:
    return operators(model, "LceBconv2d")[0]


def branch_of_first_unit(model: Any) -> int:
    """The tensor behind convolution, PReLU and the addition of zeta."""
    (prelu,) = consumers(model, convolution_of_first_unit(model).outputs[0])
    (zeta,) = consumers(model, prelu.outputs[0])
    return int(zeta.outputs[0])


def first_epsilon(model: Any) -> Any:
    """The addition of epsilon to the first unit's variance."""
    scalars = [one for one in operators(model, "ADD") if not len(shape_of(model, one.inputs[1]))]
    return scalars[0]


def with_other_epsilon(model: Any) -> None:
    own_constant(model, first_epsilon(model), 1, lambda values: np.float32(1e6) * values)


def with_activation_in_a_unit(model: Any) -> None:
    first_epsilon(model).builtinOptions.fusedActivationFunction = 1


def with_difference_the_other_way(model: Any) -> None:
    (difference,) = [one for one in operators(model, "SUB") if one.inputs[0] == branch_of_first_unit(model)]
    difference.inputs = list(difference.inputs)[::-1]


def with_inner_tensor_as_output(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.outputs = [*graph.outputs, branch_of_first_unit(model)]


def with_gain_of_another_block(model: Any) -> None:
    gains = [
        one
        for one in operators(model, "MUL")
        if len(shape_of(model, one.inputs[1])) == 1 and is_made(model, one)
    ]
    gains[0].inputs = [gains[0].inputs[0], gains[1].inputs[1]]


def is_made(model: Any, operator: Any) -> bool:
    """Whether the second input is made while the graph runs."""
    data = model.buffers[model.subgraphs[0].tensors[operator.inputs[1]].buffer].data
    return data is None or len(data) == 0


def with_padding_by_ones(model: Any) -> None:
    operator = convolution_of_first_unit(model)
    operator.customOptions = custom_options(convolution_options(CHANNELS, pad_values=1))


IN_A_UNIT = [
    with_other_epsilon,
    with_activation_in_a_unit,
    with_difference_the_other_way,
    with_inner_tensor_as_output,
    with_gain_of_another_block,
    with_padding_by_ones,
]


@pytest.mark.parametrize("edit", IN_A_UNIT, ids=lambda edit: edit.__name__)
def test_a_changed_unit_runs_operator_by_operator(fuse_graph: bytes, edit: Callable[[Any], None]) -> None:
    graph, inputs = edited(fuse_graph, edit), images(64, 64)
    outcome, single = run(graph, inputs), run(graph, inputs, take="operator")
    assert outcome.taken == {"network": 0, "trunk": 0, "operator": 2 * 4 * BLOCKS}
    np.testing.assert_array_equal(outcome.outputs[0], single.outputs[0])


def test_a_changed_epsilon_counts(fuse_graph: bytes) -> None:
    graph, inputs = edited(fuse_graph, with_other_epsilon), images(WINDOW, WINDOW)
    changed = run(graph, inputs).outputs[0]
    assert np.median(np.abs(changed - run(fuse_graph, inputs).outputs[0])) > 1e-4
    assert_close(changed, run_in_larq(graph, inputs, changed.shape))


def with_activation_behind_the_head(model: Any) -> None:
    operators(model, "CONV_2D")[0].builtinOptions.fusedActivationFunction = 1


def halves_of_images(model: Any) -> list[Any]:
    """The Haar transform's multiplications by one half, forward and back."""
    return [
        one
        for one in operators(model, "MUL")
        if shape_of(model, one.inputs[1]) == [] and len(shape_of(model, one.inputs[0])) == 4
    ]


def with_another_factor_of_the_haar_transform(model: Any) -> None:
    own_constant(model, halves_of_images(model)[-1], 1, lambda values: values / 2)


def with_features_as_output(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.outputs = [*graph.outputs, operators(model, "CONV_2D")[0].outputs[0]]


def with_detail_subtracted(model: Any) -> None:
    tail = operators(model, "CONV_2D")[1]
    (last,) = consumers(model, tail.outputs[0])
    last.opcodeIndex = operators(model, "SUB")[0].opcodeIndex
    last.builtinOptions = operators(model, "SUB")[0].builtinOptions
    last.builtinOptionsType = operators(model, "SUB")[0].builtinOptionsType


def cut_behind_the_trunk(model: Any) -> list[Any]:
    """Leave only the trunk and what it needs; gives the last operators, one per sub-band."""
    graph = model.subgraphs[0]
    made_by = {tensor: one for one in graph.operators for tensor in one.outputs}
    ends = [made_by[one.inputs[0]] for one in halves_of_images(model) if one.inputs[0] in made_by]
    last = list({id(one): one for one in ends if len(shape_of(model, one.inputs[1])) == 1}.values())
    needed, open_ends = set(), list(last)
    while open_ends:
        one = open_ends.pop()
        needed.add(id(one))
        open_ends += [made_by[tensor] for tensor in one.inputs if tensor in made_by]
    graph.operators = [one for one in graph.operators if id(one) in needed]
    graph.outputs = [one.outputs[0] for one in last]
    return last


def with_a_trunk_of_bytes(model: Any) -> None:
    last = cut_behind_the_trunk(model)[-1]
    model.subgraphs[0].tensors[last.outputs[0]].type = litert_schema().TensorType.INT8


def with_a_trunk_to_nowhere(model: Any) -> None:
    last = cut_behind_the_trunk(model)[-1]
    model.subgraphs[0].outputs = model.subgraphs[0].outputs[:-1]
    last.outputs = [-1]


@pytest.mark.parametrize("edit", [with_a_trunk_of_bytes, with_a_trunk_to_nowhere], ids=lambda e: e.__name__)
def test_a_trunk_that_ends_in_no_float_image_is_refused(
    fuse_graph: bytes, edit: Callable[[Any], None]
) -> None:
    sound = run(edited(fuse_graph, lambda model: cut_behind_the_trunk(model) and None), images(64, 64))
    assert sound.taken == {"network": 0, "trunk": 1, "operator": 0} and len(sound.outputs) == 4
    with pytest.raises(RuntimeError):
        run(edited(fuse_graph, edit), images(64, 64))


AROUND_THE_TRUNK = [
    with_activation_behind_the_head,
    with_another_factor_of_the_haar_transform,
    with_features_as_output,
    with_detail_subtracted,
]


@pytest.mark.parametrize("edit", AROUND_THE_TRUNK, ids=lambda edit: edit.__name__)
def test_around_a_changed_head_or_tail_the_trunk_is_taken(
    fuse_graph: bytes, edit: Callable[[Any], None]
) -> None:
    graph, inputs = edited(fuse_graph, edit), images(64, 64)
    outcome = run(graph, inputs)
    assert outcome.taken == {"network": 0, "trunk": 1, "operator": 0}
    for one, other in zip(outcome.outputs, run(graph, inputs, take="operator").outputs, strict=True):
        assert_close(one, other)
