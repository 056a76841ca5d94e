"""Rewrites ONNX graphs, so that runtimes waste no time on what the conversion left behind."""

from collections.abc import Iterator, Mapping
from typing import Any


def subgraphs(node: Any) -> list[Any]:
    """Returns the graphs inside a node, such as the body of a `Loop`."""
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def all_graphs(graph: Any) -> Iterator[Any]:
    """Yields a graph and all graphs inside its nodes."""
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from all_graphs(inner)


def sum_repeated_indices(graph: Any) -> None:
    """Makes every `ScatterND` add up what goes to one place, as TensorFlow's does."""
    import onnx

    for inner in all_graphs(graph):
        for node in inner.node:
            if node.op_type == "ScatterND":
                node.attribute.append(onnx.helper.make_attribute("reduction", "add"))


def hoist_invariants(graph: Any) -> None:
    """Takes out of every `Loop` what is the same at each step: weights, annotations.

    A body may read them from outside. Handed from step to step, they would be copied, and
    no runtime would know that they are constants.
    """
    for node in graph.node:
        for body in subgraphs(node):
            hoist_invariants(body)
        if node.op_type != "Loop":
            continue
        (body,) = subgraphs(node)
        # A loop has two inputs before the carried values, its body one output.
        carried = range(len(node.input) - 2)
        same = [i for i in carried if body.input[i + 2].name == body.output[i + 1].name]
        _rename(body, {body.input[i + 2].name: node.input[i + 2] for i in same})
        _rename(graph, {node.output[i]: node.input[i + 2] for i in same})
        for i in reversed(same):
            del node.input[i + 2], node.output[i], body.input[i + 2], body.output[i + 1]


def hoist_weights(graph: Any) -> None:
    """Moves the constants of inner graphs that are weights to the outermost graph."""
    for inner in list(all_graphs(graph))[1:]:
        weights = [tensor for tensor in inner.initializer if is_weight(tensor)]
        graph.initializer.extend(weights)
        for tensor in weights:
            inner.initializer.remove(tensor)


def is_weight(tensor: Any) -> bool:
    """Whether a constant is a matrix or a kernel of float32, and not a bias or a number."""
    float32, sides = 1, [side for side in tensor.dims if side > 1]
    return tensor.data_type == float32 and len(sides) >= 2


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for inner in all_graphs(graph):
        for node in inner.node:
            for i, name in enumerate(node.input):
                node.input[i] = names.get(name, name)
        for output in inner.output:
            output.name = names.get(output.name, output.name)
