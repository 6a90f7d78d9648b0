#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reference networks as ONNX files, layer by layer, without a training framework.

  python bench/make_models.py OUT [--extra ../shared/models] [--only resnet18,bert_mini]

ResNet-18/50, MobileNetV2, EfficientNet-B0, DeiT-tiny and a BERT-mini of the published shapes, opset 17,
batch 1, f32; weights are random (seeded, He), batch norms folded. `--extra DIR` adds the small real
models of a folder with their open dimensions set to 1. Leaves NAME.onnx, NAME.npz (inputs) and
models.json, which is what the shared harness `measure_engines.py` reads. Needs onnx and numpy.
"""
import argparse
import json
import math
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EXTRA = {
    "yolox_nano": "yolox_nano.onnx",
    "fastestdet": "FastestDet.onnx",
    "rfb_face": "version-RFB-320_simplified.onnx",
    "blazeface_back": "face_detection_back_256x256_float32_opt.onnx",
    "basic_pitch": "nmp.onnx",
    "gtcrn": "gtcrn_simple.onnx",
    "dtln2": "model_2.onnx",
    "superres": "pytorch_super_resolution.onnx",
    "squeezenet": "squeezenet_tensor_input.onnx",
}


class Net:
    """A graph in the making; every method adds a node and returns its output's name."""

    def __init__(self, name):
        self.name, self.nodes, self.weights = name, [], []
        self.inputs, self.rng, self.count, self.channels = [], np.random.default_rng(0), 0, {}

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def op(self, kind, *inputs, **attributes):
        self.count += 1
        out = f"{kind.lower()}_{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], name=out, **attributes))
        return out

    def image(self, size):
        self.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, size, size]))
        self.channels["x"] = 3
        return "x"

    def conv(self, x, oc, k=1, stride=1, group=1, act=None, gain=1.0):
        ic = self.channels[x]
        w = self.rng.standard_normal((oc, ic // group, k, k)) * gain * math.sqrt(2 / (ic // group * k * k))
        b = 0.1 * self.rng.standard_normal(oc)
        y = self.op("Conv", x, self.weight(w.astype(np.float32)), self.weight(b.astype(np.float32)),
                    kernel_shape=[k, k], strides=[stride] * 2, pads=[k // 2] * 4, group=group)
        y = self.activation(y, act)
        self.channels[y] = oc
        return y

    def activation(self, y, act):
        if act == "relu":
            y = self.op("Relu", y)
        elif act == "relu6":
            y = self.op("Clip", y, self.weight(np.float32(0)), self.weight(np.float32(6)))
        elif act == "silu":
            y = self.op("Mul", y, self.op("Sigmoid", y))
        return y

    def add(self, a, b):
        y = self.op("Add", a, b)
        self.channels[y] = self.channels[a]
        return y

    def linear(self, x, inputs, outputs):
        w = self.rng.standard_normal((inputs, outputs)) / math.sqrt(inputs)
        b = 0.02 * self.rng.standard_normal(outputs)
        y = self.op("MatMul", x, self.weight(w.astype(np.float32)))
        return self.op("Add", y, self.weight(b.astype(np.float32)))

    def norm(self, x, width, epsilon):
        g = 1 + 0.1 * self.rng.standard_normal(width)
        b = 0.1 * self.rng.standard_normal(width)
        return self.op("LayerNormalization", x, self.weight(g.astype(np.float32)),
                       self.weight(b.astype(np.float32)), axis=-1, epsilon=epsilon)

    def gelu(self, x):
        y = self.op("Erf", self.op("Div", x, self.weight(np.float32(math.sqrt(2)))))
        y = self.op("Mul", x, self.op("Add", y, self.weight(np.float32(1))))
        return self.op("Mul", y, self.weight(np.float32(0.5)))

    def shape(self, *dims):
        return self.weight(np.array(dims, np.int64))

    def classifier(self, x, features, classes=1000):
        x = self.op("Flatten", self.op("GlobalAveragePool", x), axis=1)
        w = self.rng.standard_normal((classes, features)) / math.sqrt(features)
        return self.op("Gemm", x, self.weight(w.astype(np.float32)),
                       self.weight(np.zeros(classes, np.float32)), transB=1)

    def save(self, path, outputs):
        values = [helper.make_empty_tensor_value_info(o) for o in outputs]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, values, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def resnet(net, blocks, bottleneck):
    x = net.conv(net.image(224), 64, 7, 2, act="relu")
    y = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    net.channels[y] = 64
    x = y
    for stage, count in enumerate(blocks):
        width = 64 << stage
        out = width * 4 if bottleneck else width
        for i in range(count):
            stride = 2 if stage and i == 0 else 1
            same = net.channels[x] == out and stride == 1
            shortcut = x if same else net.conv(x, out, 1, stride)
            if bottleneck:
                y = net.conv(net.conv(x, width, 1, act="relu"), width, 3, stride, act="relu")
                y = net.conv(y, out, 1, gain=0.3)
            else:
                y = net.conv(net.conv(x, width, 3, stride, act="relu"), width, 3, gain=0.3)
            y = net.op("Relu", net.add(y, shortcut))
            net.channels[y] = out
            x = y
    return [net.classifier(x, net.channels[x])]


def mobilenet_v2(net):
    x = net.conv(net.image(224), 32, 3, 2, act="relu6")
    for t, c, n, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                       (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(n):
            ic, stride = net.channels[x], s if i == 0 else 1
            y = net.conv(x, ic * t, act="relu6") if t > 1 else x
            y = net.conv(y, ic * t, 3, stride, group=ic * t, act="relu6")
            y = net.conv(y, c, gain=0.5)
            x = net.add(y, x) if stride == 1 and ic == c else y
    return [net.classifier(net.conv(x, 1280, act="relu6"), 1280)]


def efficientnet_b0(net):
    x = net.conv(net.image(224), 32, 3, 2, act="silu")
    for t, c, n, s, k in [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
                          (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]:
        for i in range(n):
            ic, stride = net.channels[x], s if i == 0 else 1
            wide = ic * t
            y = net.conv(x, wide, act="silu") if t > 1 else x
            y = net.conv(y, wide, k, stride, group=wide, act="silu")
            pooled = net.op("GlobalAveragePool", y)
            net.channels[pooled] = wide
            gate = net.conv(net.conv(pooled, max(1, ic // 4), act="silu"), wide)
            z = net.op("Mul", net.op("Sigmoid", gate), y)
            net.channels[z] = wide
            y = net.conv(z, c, gain=0.5)
            x = net.add(y, x) if stride == 1 and ic == c else y
    return [net.classifier(net.conv(x, 1280, act="silu"), 1280)]


def attention(net, x, tokens, width, heads, bias=None):
    size = width // heads

    def split(y):
        return net.op("Reshape", y, net.shape(1, tokens, heads, size))
    q, k, v = (split(net.linear(x, width, width)) for _ in range(3))
    q = net.op("Transpose", q, perm=[0, 2, 1, 3])
    k = net.op("Transpose", k, perm=[0, 2, 3, 1])
    v = net.op("Transpose", v, perm=[0, 2, 1, 3])
    s = net.op("Div", net.op("MatMul", q, k), net.weight(np.float32(math.sqrt(size))))
    if bias is not None:
        s = net.op("Add", s, bias)
    y = net.op("MatMul", net.op("Softmax", s, axis=-1), v)
    y = net.op("Reshape", net.op("Transpose", y, perm=[0, 2, 1, 3]), net.shape(1, tokens, width))
    return net.linear(y, width, width)


def deit_tiny(net):
    width, tokens = 192, 197
    x = net.image(224)
    w = net.rng.standard_normal((width, 3, 16, 16)) / 28
    x = net.op("Conv", x, net.weight(w.astype(np.float32)), net.weight(np.zeros(width, np.float32)),
               kernel_shape=[16, 16], strides=[16, 16])
    x = net.op("Transpose", net.op("Reshape", x, net.shape(1, width, 196)), perm=[0, 2, 1])
    token = net.rng.standard_normal((1, 1, width)).astype(np.float32)
    x = net.op("Concat", net.weight(token), x, axis=1)
    x = net.op("Add", x, net.weight(0.02 * net.rng.standard_normal((1, tokens, width)).astype(np.float32)))
    for _ in range(12):
        x = net.op("Add", x, attention(net, net.norm(x, width, 1e-6), tokens, width, 3))
        y = net.gelu(net.linear(net.norm(x, width, 1e-6), width, 4 * width))
        x = net.op("Add", x, net.linear(y, 4 * width, width))
    x = net.norm(x, width, 1e-6)
    x = net.op("Gather", x, net.weight(np.int64(0)), axis=1)
    w = net.rng.standard_normal((1000, width)) / math.sqrt(width)
    return [net.op("Gemm", x, net.weight(w.astype(np.float32)), net.weight(np.zeros(1000, np.float32)),
                   transB=1)]


def bert_mini(net):
    width, tokens = 256, 128
    for name in ("ids", "mask"):
        net.inputs.append(helper.make_tensor_value_info(name, TensorProto.INT64, [1, tokens]))
    table = 0.05 * net.rng.standard_normal((30522, width)).astype(np.float32)
    x = net.op("Gather", net.weight(table), "ids", axis=0)
    x = net.op("Add", x, net.weight(0.05 * net.rng.standard_normal((tokens, width)).astype(np.float32)))
    x = net.norm(x, width, 1e-12)
    bias = net.op("Unsqueeze", net.op("Cast", "mask", to=TensorProto.FLOAT), net.shape(1, 2))
    bias = net.op("Mul", net.op("Sub", net.weight(np.float32(1)), bias), net.weight(np.float32(-1e4)))
    for _ in range(4):
        x = net.norm(net.op("Add", x, attention(net, x, tokens, width, 4, bias)), width, 1e-12)
        y = net.linear(net.gelu(net.linear(x, width, 4 * width)), 4 * width, width)
        x = net.norm(net.op("Add", x, y), width, 1e-12)
    first = net.op("Gather", x, net.weight(np.int64(0)), axis=1)
    return [x, net.op("Tanh", net.linear(first, width, width))]


MADE = {
    "resnet18": lambda n: resnet(n, [2, 2, 2, 2], False),
    "resnet50": lambda n: resnet(n, [3, 4, 6, 3], True),
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_b0": efficientnet_b0,
    "deit_tiny": deit_tiny,
    "bert_mini": bert_mini,
}


def take(path, out):
    """A real model with its open dimensions set to 1 and its weights not among the inputs."""
    model = onnx.load(path)
    weights = {i.name for i in model.graph.initializer}
    for v in [v for v in model.graph.input if v.name in weights]:
        model.graph.input.remove(v)
    if model.ir_version < 4:
        model.ir_version = 4
    for v in model.graph.input:
        for d in v.type.tensor_type.shape.dim:
            if d.dim_value <= 0:
                d.Clear()
                d.dim_value = 1
    onnx.save(model, out)


def feeds(model):
    rng = np.random.default_rng(0)
    feed = {}
    for v in model.graph.input:
        shape = [d.dim_value for d in v.type.tensor_type.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type)
        if dtype.kind == "f":
            feed[v.name] = rng.standard_normal(shape).astype(dtype)
        elif v.name == "ids":
            feed[v.name] = rng.integers(0, 30000, shape).astype(dtype)
        else:
            feed[v.name] = np.ones(shape, dtype)
    return feed


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out")
    p.add_argument("--extra")
    p.add_argument("--only")
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    table = {}
    wanted = a.only.split(",") if a.only else list(MADE) + (list(EXTRA) if a.extra else [])
    for name in wanted:
        path = os.path.join(a.out, name + ".onnx")
        if name in MADE:
            net = Net(name)
            net.save(path, MADE[name](net))
        else:
            take(os.path.join(a.extra, EXTRA[name]), path)
        model = onnx.load(path)
        feed = feeds(model)
        np.savez(os.path.join(a.out, name + ".npz"), **feed)
        size = sum(numpy_helper.to_array(i).nbytes for i in model.graph.initializer)
        table[name] = dict(macs=0, macs_by_kind={}, weight_bytes=int(size), nodes=len(model.graph.node),
                           unknown_contractions=0, file_bytes=os.path.getsize(path),
                           inputs={k: list(v.shape) for k, v in feed.items()})
        print(name, size >> 20, "MB of weights,", len(model.graph.node), "nodes", flush=True)
    with open(os.path.join(a.out, "models.json"), "w") as f:
        json.dump(table, f, indent=1)


if __name__ == "__main__":
    main()
