"""Stores the weights of an ONNX graph in fewer bits; they are computed with in float32."""

from typing import Any

import numpy as np

from keras_showattend.export.onnx_passes import all_graphs, is_weight


def store_weights(graph: Any, quantization: str) -> None:
    """Replaces the weights of a graph by smaller ones and what turns them into float32.

    Runtimes do that once, when they load the file, so that it costs no time afterwards and
    works wherever float32 does.

    Args:
        graph: `onnx.GraphProto` with all weights in the outermost graph, changed in place.
        quantization: `"float16"`, or `"int8"`: whole numbers -127..127 times a float32 for
            each output channel, or for each row of an embedding (Jacob et al. 2018, arXiv
            1712.05877).
    """
    import onnx
    from onnx import helper, numpy_helper

    axes = _channel_axes(graph)
    nodes = []
    for tensor in [tensor for tensor in graph.initializer if is_weight(tensor)]:
        values, name = numpy_helper.to_array(tensor), tensor.name
        graph.initializer.remove(tensor)
        if quantization == "float16":
            stored = [numpy_helper.from_array(values.astype("float16"), f"{name}_float16")]
            nodes.append(
                helper.make_node("Cast", [stored[0].name], [name], to=onnx.TensorProto.FLOAT)
            )
        else:
            whole, scale = _to_int8(values, axes.get(name, 0))
            stored = [
                numpy_helper.from_array(whole, f"{name}_int8"),
                numpy_helper.from_array(scale, f"{name}_scale"),
            ]
            # Not `DequantizeLinear`, which runtimes keep to look for integer kernels.
            cast = helper.make_node(
                "Cast", [stored[0].name], [f"{name}_whole"], to=onnx.TensorProto.FLOAT
            )
            nodes += [cast, helper.make_node("Mul", [f"{name}_whole", stored[1].name], [name])]
        graph.initializer.extend(stored)
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *others])


def _to_int8(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    others = tuple(i for i in range(values.ndim) if i != axis % values.ndim)
    scale = np.abs(values).max(axis=others, keepdims=True) / np.float32(127)
    scale = np.maximum(scale, np.finfo("float32").tiny)
    return np.rint(values / scale).astype("int8"), scale.astype("float32")


def _channel_axes(graph: Any) -> dict[str, int]:
    """Maps each matrix that something is multiplied by to the axis of its outputs.

    Kernels of convolutions and embeddings have it first, and are not in the dict.
    """
    axes = {}
    for inner in all_graphs(graph):
        for node in inner.node:
            if node.op_type == "MatMul":
                axes[node.input[1]] = -1
            elif node.op_type == "Gemm":
                transposed = any(a.name == "transB" and a.i for a in node.attribute)
                axes[node.input[1]] = 0 if transposed else 1
    return axes
