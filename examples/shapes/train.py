# SPDX-License-Identifier: Apache-2.0
"""Trains the shapes detector and exports it to ONNX, by way of a TensorFlow SavedModel and tf2onnx.

    python3.11 -m venv /tmp/shapes-venv
    /tmp/shapes-venv/bin/pip install tensorflow-cpu==2.13.1 tf2onnx==1.16.1 onnx==1.14.1 'numpy<2'
    /tmp/shapes-venv/bin/python train.py --out shapes.onnx

The exported graph has the form that exporters of detection libraries give it: a `tf.map_fn` that prepares each image of the
batch, an SSD head over three feature maps, and one `tf.image.non_max_suppression` per class.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import onnx
import tensorflow as tf

import evaluate
from shapes_data import CLASSES, SIZE, iou, make_picture

MEAN = (123.675, 116.28, 103.53)  # of red, green, blue; in units of the uint8 input
STD = (58.395, 57.12, 57.375)
COLUMNS = 1 + len(CLASSES)  # score columns: background, then the classes
STRIDES = (8, 16, 32)  # pixels between the cells of each feature map
ANCHOR_SIDES = ((22, 32), (44, 58), (74, 92))  # pixels, for each feature map
CODE_SCALE = (10.0, 10.0, 5.0, 5.0)  # of the box codes (y, x, h, w)

MAX_PER_CLASS = 50
MAX_TOTAL = 50
IOU_THRESHOLD = 0.5
SCORE_THRESHOLD = 0.1

SEED = 7
PICTURES = 4000
BATCH = 32
STEPS = 1800
LEARNING_RATE = 3e-3
OPSET = 13


# --- anchors and targets ---------------------------------------------------------------------------------------------


def make_anchors():
    """Square anchors, float32 [K, 4] as (y, x, height, width) of their centres and sides in parts of the picture."""
    anchors = []
    for stride, sides in zip(STRIDES, ANCHOR_SIDES):
        centres = (np.arange(SIZE // stride) + 0.5) * stride
        y, x, side = np.meshgrid(centres, centres, sides, indexing="ij")
        anchors.append(np.stack([y, x, side, side], -1).reshape(-1, 4))
    return (np.concatenate(anchors) / SIZE).astype(np.float32)


ANCHORS = make_anchors()
ANCHOR_CORNERS = np.concatenate([ANCHORS[:, :2] - ANCHORS[:, 2:] / 2, ANCHORS[:, :2] + ANCHORS[:, 2:] / 2], 1)


def assign(boxes, classes):
    """What the network is to say for a picture: labels int32 [K] (0 background, -1 ignored) and box codes float32 [K, 4]."""
    overlap = iou(ANCHOR_CORNERS, boxes)
    nearest = overlap.argmax(1)
    best = overlap.max(1)
    owned = overlap.argmax(0)  # every box gets an anchor, however small their overlap
    nearest[owned] = np.arange(len(boxes))
    best[owned] = 1
    labels = np.where(best >= 0.5, classes[nearest], np.where(best >= 0.4, -1, 0))
    target = boxes[nearest]
    sides = target[:, 2:] - target[:, :2]
    centres = (target[:, :2] + target[:, 2:]) / 2
    codes = np.concatenate([(centres - ANCHORS[:, :2]) / ANCHORS[:, 2:], np.log(sides / ANCHORS[:, 2:])], 1) * CODE_SCALE
    return labels.astype(np.int32), codes.astype(np.float32)


def augment(rng, image, boxes):
    """One of the eight symmetries of the square and one of the six orders of the colours."""
    if rng.integers(2):
        image, boxes = image[::-1], np.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], 1)
    if rng.integers(2):
        image, boxes = image[:, ::-1], np.stack([boxes[:, 0], 1 - boxes[:, 3], boxes[:, 2], 1 - boxes[:, 1]], 1)
    if rng.integers(2):
        image, boxes = image.swapaxes(0, 1), boxes[:, [1, 0, 3, 2]]
    return image[..., rng.permutation(3)], boxes


def batches(pictures, steps):
    """Batches for training: images uint8 [BATCH, SIZE, SIZE, 3], labels int32 [BATCH, K], codes float32 [BATCH, K, 4]."""
    rng = np.random.default_rng(SEED)
    order = np.empty(0, int)
    for _ in range(steps):
        if len(order) < BATCH:
            order = rng.permutation(len(pictures))
        images, labels, codes = [], [], []
        for index in order[:BATCH]:
            image, boxes, classes = pictures[index]
            image, boxes = augment(rng, image, boxes)
            label, code = assign(boxes, classes)
            images.append(image)
            labels.append(label)
            codes.append(code)
        order = order[BATCH:]
        yield np.stack(images), np.stack(labels), np.stack(codes)


# --- network and training --------------------------------------------------------------------------------------------


def make_network():
    """A small MobileNet with SSD heads: normalised images [N, SIZE, SIZE, 3] -> codes [N, K, 4], logits [N, K, COLUMNS]."""
    layers = tf.keras.layers

    def activated(x):
        return layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.97)(x))

    def separable(x, filters, stride=1):
        y = activated(layers.DepthwiseConv2D(3, stride, "same", use_bias=False)(x))
        y = activated(layers.Conv2D(filters, 1, use_bias=False)(y))
        return layers.Add()([x, y]) if x.shape == y.shape else y

    def head(x, anchors, columns, bias):
        y = layers.Conv2D(anchors * columns, 3, padding="same", bias_initializer=bias)(x)
        return layers.Reshape((-1, columns))(y)

    def prior(shape, dtype):
        return tf.tile(tf.constant([4.0] + [-4.0] * len(CLASSES), dtype), [shape[0] // COLUMNS])  # nearly all is background

    image = x = tf.keras.Input((SIZE, SIZE, 3))
    x = activated(layers.Conv2D(24, 3, 2, "same", use_bias=False)(x))
    x = separable(x, 32, 2)
    x = separable(x, 32)
    maps = []
    for filters in (80, 144, 144):
        x = separable(x, filters, 2)
        x = separable(x, filters)
        x = separable(x, filters)
        maps.append(x)
    codes = [head(x, len(sides), 4, "zeros") for x, sides in zip(maps, ANCHOR_SIDES)]
    logits = [head(x, len(sides), COLUMNS, prior) for x, sides in zip(maps, ANCHOR_SIDES)]
    return tf.keras.Model(image, [layers.Concatenate(1)(codes), layers.Concatenate(1)(logits)], name="ssd")


def loss_of(codes, logits, labels, target_codes):
    """Focal loss of the scores and Huber loss of the box codes, per matched anchor."""
    matched = tf.cast(labels > 0, tf.float32)
    count = tf.maximum(tf.reduce_sum(matched), 1.0)
    wanted = tf.one_hot(tf.maximum(labels, 0), COLUMNS)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(wanted, logits)
    miss = tf.abs(wanted - tf.sigmoid(logits))
    score_loss = tf.reduce_sum(miss * entropy, -1) * tf.cast(labels >= 0, tf.float32)
    error = tf.abs(codes - target_codes)
    box_loss = tf.reduce_sum(tf.where(error < 1, error**2 / 2, error - 0.5), -1) * matched
    return (2 * tf.reduce_sum(score_loss) + tf.reduce_sum(box_loss)) / count


def fit(steps):
    """Trains a new network on pictures of its own making."""
    pictures = [make_picture(seed) for seed in range(PICTURES)]
    network = make_network()
    rate = tf.keras.optimizers.schedules.CosineDecay(LEARNING_RATE / 10, steps, warmup_target=LEARNING_RATE, warmup_steps=steps // 20)
    optimizer = tf.keras.optimizers.Adam(rate)

    @tf.function
    def step(images, labels, target_codes):
        with tf.GradientTape() as tape:
            codes, logits = network((tf.cast(images, tf.float32) - MEAN) / STD, training=True)
            loss = loss_of(codes, logits, labels, target_codes)
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    recent = []
    for number, batch in enumerate(batches(pictures, steps), 1):
        recent.append(float(step(*batch)))
        if number % 250 == 0:
            print(f"step {number}: loss {np.mean(recent):.3f}", flush=True)
            recent = []
    return network


# --- the exported function -------------------------------------------------------------------------------------------


class Detector(tf.Module):
    """The network between its preprocessing and its postprocessing."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")])
    def detect(self, input_tensor):
        """Images uint8 [1, H, W, 3] -> boxes [1, M, 4], scores [1, M], classes [1, M] from 1, count [1]; M is MAX_TOTAL."""
        images, true_shapes = tf.map_fn(prepare, input_tensor, fn_output_signature=(tf.float32, tf.int32))
        codes, logits = self.network(images, training=False)
        with tf.name_scope("Postprocessor"):
            boxes = tf.expand_dims(decode(codes), 2)
            scores = tf.slice(tf.sigmoid(logits), [0, 0, 1], [-1, -1, -1])  # without the background
            windows = clip_windows(tf.shape(images), true_shapes)
            per_image = [suppress(*image) for image in zip(*(tf.unstack(x) for x in (boxes, scores, windows)))]
            boxes, scores, classes, counts = (tf.stack(field) for field in zip(*per_image))
        return {
            "detection_boxes": boxes,
            "detection_scores": scores,
            "detection_classes": classes + 1,
            "num_detections": tf.cast(counts, tf.float32),
        }


def prepare(image):
    """An image uint8 [h, w, 3] -> normalised and resized, float32 [SIZE, SIZE, 3], and its true shape, int32 [3]."""
    image = tf.expand_dims(tf.cast(image, tf.float32), 0)
    with tf.name_scope("Preprocessor"):
        image = (image - MEAN) / STD
        image = tf.compat.v1.image.resize_images(image, [SIZE, SIZE])
    return tf.squeeze(image, 0), tf.constant([SIZE, SIZE, 3])


def decode(codes):
    """Box codes [N, K, 4] -> boxes [N, K, 4] as (ymin, xmin, ymax, xmax)."""
    with tf.name_scope("Decode"):
        tiled = tf.tile(tf.expand_dims(ANCHORS, 0), [tf.shape(codes)[0], 1, 1])
        anchor_y, anchor_x, anchor_h, anchor_w = tf.unstack(tf.transpose(tf.reshape(tiled, [-1, 4])))
        code_y, code_x, code_h, code_w = tf.unstack(tf.transpose(tf.reshape(codes, [-1, 4])))
        scale_y, scale_x, scale_h, scale_w = CODE_SCALE
        height = tf.exp(code_h / scale_h) * anchor_h
        width = tf.exp(code_w / scale_w) * anchor_w
        y = code_y / scale_y * anchor_h + anchor_y
        x = code_x / scale_x * anchor_w + anchor_x
        corners = tf.stack([y - height / 2, x - width / 2, y + height / 2, x + width / 2])
        return tf.reshape(tf.transpose(corners), [-1, len(ANCHORS), 4])


def clip_windows(shape, true_shapes):
    """The part of each resized image that is picture and not padding, float32 [N, 4] as (ymin, xmin, ymax, xmax)."""
    true_height, true_width, _ = tf.unstack(tf.cast(true_shapes, tf.float32), axis=1)
    height, width = (tf.cast(shape[axis], tf.float32) for axis in (1, 2))
    return tf.stack([tf.zeros_like(true_height), tf.zeros_like(true_width), true_height / height, true_width / width], 1)


def suppress(boxes, scores, window):
    """Non-maximum suppression of one image, class by class.

    Boxes [K, 1, 4], scores [K, C], window [4] -> boxes [M, 4], scores [M], classes [M] from 0, count; unused rows are zero.
    """
    with tf.name_scope("MultiClassNonMaxSuppression"):
        boxes = tf.unstack(boxes, axis=1)[0]
        chosen = [suppress_class(boxes, scores, index) for index in range(len(CLASSES))]
        boxes, scores, classes = (tf.concat(field, 0) for field in zip(*chosen))
        boxes, scores, classes = sort(boxes, scores, classes)
        boxes, scores, classes = clip(boxes, scores, classes, window)
        boxes, scores, classes = sort(boxes, scores, classes)
        boxes = reframe(boxes, window)
        count = tf.minimum(MAX_TOTAL, tf.shape(boxes)[0])
        boxes, scores, classes = select(tf.range(count), boxes, scores, classes)
        valid = tf.reduce_sum(tf.cast(scores >= 0, tf.int32))
        boxes, scores, classes = select(tf.range(valid), boxes, scores, classes)
    with tf.name_scope("Pad"):
        return tuple(pad(x, MAX_TOTAL) for x in (boxes, scores, classes)) + (valid,)


def suppress_class(boxes, scores, index):
    """The best boxes of one class: boxes [MAX_PER_CLASS, 4], scores (-1 in unused rows) and classes [MAX_PER_CLASS]."""
    scores = tf.reshape(tf.slice(scores, [0, index], [tf.shape(scores)[0], 1]), [-1])
    chosen = tf.image.non_max_suppression(boxes, scores, MAX_PER_CLASS, IOU_THRESHOLD, SCORE_THRESHOLD)
    count = tf.shape(chosen)[0]
    chosen_scores = tf.concat([tf.gather(scores, chosen), tf.zeros([MAX_PER_CLASS - count])], 0)
    chosen = tf.concat([chosen, tf.zeros([MAX_PER_CLASS - count], tf.int32)], 0)
    chosen_scores = tf.where(tf.range(MAX_PER_CLASS) < count, chosen_scores, -tf.ones([MAX_PER_CLASS]))
    return tf.gather(boxes, chosen), chosen_scores, tf.fill([MAX_PER_CLASS], float(index))


def sort(boxes, scores, classes):
    """All rows, the best scores first."""
    scores, order = tf.nn.top_k(scores, tf.shape(scores)[0])
    return tf.gather(boxes, order), scores, tf.gather(classes, order)


def clip(boxes, scores, classes, window):
    """Cuts boxes off at a window [4] and drops those outside it."""
    ymin, xmin, ymax, xmax = tf.split(boxes, 4, 1)
    top, left, bottom, right = tf.unstack(window)
    ymin, ymax = (tf.maximum(tf.minimum(y, bottom), top) for y in (ymin, ymax))
    xmin, xmax = (tf.maximum(tf.minimum(x, right), left) for x in (xmin, xmax))
    area = tf.squeeze((ymax - ymin) * (xmax - xmin), 1)
    inside = tf.cast(tf.reshape(tf.where(area > 0), [-1]), tf.int32)
    return select(inside, tf.concat([ymin, xmin, ymax, xmax], 1), scores, classes)


def reframe(boxes, window):
    """Boxes [n, 4] in the coordinates of a window [4]: its corners become (0, 0) and (1, 1)."""
    top, left, bottom, right = tf.unstack(window)
    ymin, xmin, ymax, xmax = tf.split(boxes - tf.stack([top, left, top, left]), 4, 1)
    scale_y, scale_x = 1 / (bottom - top), 1 / (right - left)
    return tf.concat([ymin * scale_y, xmin * scale_x, ymax * scale_y, xmax * scale_x], 1)


def select(rows, *fields):
    """The given rows of each field."""
    return tuple(tf.gather(field, rows) for field in fields)


def pad(field, rows):
    """A field filled up with zeros to a fixed number of rows."""
    missing = tf.stack([[0, rows - tf.shape(field)[0]]] + [[0, 0]] * (field.shape.rank - 1))
    return tf.ensure_shape(tf.pad(field, missing), [rows, *field.shape[1:]])


def export(detector, path):
    """Writes a detector as an ONNX file."""
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(detector, folder, signatures={"serving_default": detector.detect})
        command = ["tf2onnx.convert", "--saved-model", folder, "--opset", str(OPSET), "--output", str(path)]
        subprocess.run([sys.executable, "-m", *command], check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    model = onnx.load(path)
    model.doc_string = ""
    clear_doc_strings(model.graph)
    onnx.save(model, path)


def clear_doc_strings(graph):
    """Takes the doc strings from a graph and the graphs inside it; that of the graph tells where the SavedModel lay."""
    graph.doc_string = ""
    for node in graph.node:
        node.doc_string = ""
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                clear_doc_strings(attribute.g)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default="shapes.onnx")
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()

    detector = Detector(fit(arguments.steps))
    export(detector, arguments.out)

    def detect(images):
        return {name: value.numpy() for name, value in detector.detect(tf.constant(images)).items()}

    print("TensorFlow, 200 test pictures:", evaluate.report(evaluate.evaluate_detector(detect, 200)))


if __name__ == "__main__":
    main()
