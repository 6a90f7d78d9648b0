# SPDX-License-Identifier: Apache-2.0
"""Mean average precision (IoU 0.5) of a shapes detector, with numpy alone.

    python evaluate.py make --count 100 --out TRUTHS     writes img_000.npy (uint8 [1, H, W, 3]), ... and truths.json
    python evaluate.py score TRUTHS OUTPUTS              reads OUTPUTS/img_000/{detection_boxes,...}.npy, prints mAP and APs
"""

import argparse
import json
import pathlib

import numpy as np

import shapes_data

OUTPUTS = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")


def average_precision(detections, truths, threshold=0.5):
    """Compares detections with truths, both lists with one entry per picture.

    A detection entry is (boxes [n, 4], scores [n], classes [n]), a truth entry (boxes [m, 4], classes [m]); classes count from 1.
    Returns the mean of the APs and the APs themselves, {class: AP}; an AP is the area under the precision-recall curve.
    """
    classes = sorted({int(c) for _, truth_classes in truths for c in truth_classes})
    per_class = {c: _class_precision(detections, truths, c, threshold) for c in classes}
    return float(np.mean(list(per_class.values()))), per_class


def trim(outputs):
    """The valid rows (boxes, scores, classes) of a detector's outputs, a dictionary of arrays with a batch axis of one."""
    count = int(np.ravel(outputs["num_detections"])[0])
    return tuple(np.asarray(outputs[name])[0][:count] for name in OUTPUTS[:3])


def evaluate_detector(detect, count, first_seed=shapes_data.TEST_SEED):
    """Average precision of `detect`, a function from uint8 [1, H, W, 3] to a dictionary of outputs, on generated pictures."""
    detections, truths = [], []
    for seed in range(first_seed, first_seed + count):
        image, boxes, classes = shapes_data.make_picture(seed)
        detections.append(trim(detect(image[None])))
        truths.append((boxes, classes))
    return average_precision(detections, truths)


def report(result):
    """The text for a result of `average_precision`."""
    mean, per_class = result
    rows = [f"  {shapes_data.CLASSES[c - 1]:10s} {value:.4f}" for c, value in per_class.items()]
    return "\n".join([f"mAP@0.5 {mean:.4f}", *rows])


def _class_precision(detections, truths, wanted, threshold):
    """AP of one class: each truth is claimed by the best-scored detection that overlaps it."""
    scores, hits, total = [], [], 0
    for (boxes, box_scores, classes), (truth_boxes, truth_classes) in zip(detections, truths, strict=True):
        targets = truth_boxes[truth_classes == wanted]
        total += len(targets)
        free = np.ones(len(targets), bool)
        chosen = np.flatnonzero(classes == wanted)
        for index in chosen[np.argsort(-box_scores[chosen], kind="stable")]:
            overlaps = shapes_data.iou(boxes[index : index + 1], targets)[0] * free
            hit = overlaps.size > 0 and overlaps.max() >= threshold
            if hit:
                free[overlaps.argmax()] = False
            scores.append(box_scores[index])
            hits.append(hit)
    order = np.argsort(-np.array(scores), kind="stable")
    found = np.cumsum(np.array(hits, float)[order])
    precision = found / np.arange(1, len(found) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]  # the best precision at this recall or a higher one
    return float(np.sum(envelope * np.diff(found, prepend=0)) / total)


def _make(arguments):
    folder = pathlib.Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    truths = {}
    for index in range(arguments.count):
        image, boxes, classes = shapes_data.make_picture(arguments.first_seed + index, arguments.size, arguments.size)
        name = f"img_{index:03d}"
        np.save(folder / f"{name}.npy", image[None])
        truths[name] = {"boxes": boxes.tolist(), "classes": classes.tolist()}
    (folder / "truths.json").write_text(json.dumps(truths, indent=1) + "\n")


def _score(arguments):
    detections, truths = [], []
    for name, truth in json.loads(pathlib.Path(arguments.truths, "truths.json").read_text()).items():
        folder = pathlib.Path(arguments.outputs, name)
        detections.append(trim({output: np.load(folder / f"{output}.npy") for output in OUTPUTS}))
        truths.append((np.array(truth["boxes"]), np.array(truth["classes"])))
    print(report(average_precision(detections, truths)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    make = commands.add_parser("make", help="write pictures and their truths")
    make.add_argument("--count", type=int, default=100)
    make.add_argument("--out", required=True)
    make.add_argument("--size", type=int, default=shapes_data.SIZE, help="height and width in pixels")
    make.add_argument("--first-seed", type=int, default=shapes_data.TEST_SEED)
    make.set_defaults(run=_make)
    score = commands.add_parser("score", help="print the mAP of stored outputs")
    score.add_argument("truths")
    score.add_argument("outputs")
    score.set_defaults(run=_score)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
