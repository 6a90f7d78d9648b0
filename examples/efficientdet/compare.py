# SPDX-License-Identifier: Apache-2.0
"""Runs a detector before and after tfod.efficientdet on the same pictures and compares what they find.

    python compare.py RULEC BEFORE.onnx AFTER.onnx [PICTURES.npz]

Pictures are the arrays `in0/input_tensor`, `in1/input_tensor`, … of the .npz, those of the size that
the rewritten model takes; without it three are made up. Both models run in rulec's reference
evaluator, which knows the plugin. Rows may swap where their scores differ by less than 1e-4.
Exit status 1 where the models differ.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

NAMES = ["num_detections", "detection_boxes", "detection_scores", "detection_classes"]


def interface(rulec, model):
    text = subprocess.run([rulec, "inspect", model, "--json"], check=True, capture_output=True)
    return json.loads(text.stdout)["inputs"][0]


def run(rulec, model, name, array, folder):
    folder.mkdir(exist_ok=True)
    np.save(folder / "input.npy", array)
    subprocess.run([rulec, "run", model, "--reference", "--input", f"{name}={folder}/input.npy",
                    "-o", folder], check=True, capture_output=True)
    made = json.loads((folder / "manifest.json").read_text())
    outputs = made["outputs"] if isinstance(made, dict) else made
    return {o["name"].replace("nmsed_", "detection_"): np.load(folder / o["file"]) for o in outputs}


def difference(before, after):
    """The largest difference of scores and of boxes; None where counts or classes differ."""
    count = int(before["num_detections"].reshape(-1)[0])
    if int(after["num_detections"].reshape(-1)[0]) != count:
        return None
    rows = [[np.asarray(x[n], np.float64).reshape(-1, 4 if "boxes" in n else 1)[:count]
             for n in NAMES[1:]] for x in (before, after)]
    worst, free = [0.0, 0.0], set(range(count))
    for i in range(count):
        best = None
        for j in free:
            scores = abs(rows[0][1][i, 0] - rows[1][1][j, 0])
            if (j == i or scores < 1e-4) and rows[0][2][i, 0] == rows[1][2][j, 0]:
                boxes = np.abs(rows[0][0][i] - rows[1][0][j]).max()
                if best is None or boxes < best[1]:
                    best = (scores, boxes, j)
        if best is None:
            return None
        free.remove(best[2])
        worst = [max(worst[0], best[0]), max(worst[1], best[1])]
    return count, *worst


def pictures(archive, size):
    if archive:
        with np.load(archive) as arrays:
            found = [arrays[k] for k in sorted(arrays.files) if k.startswith("in")]
        return [p for p in found if p.dtype == np.uint8 and p.shape[1:3] == (size, size)]
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (3, 1, 8, 8, 3))
    return [np.kron(c, np.ones((1, size // 8, size // 8, 1))).astype(np.uint8) for c in coarse]


def main():
    rulec, before, after = sys.argv[1:4]
    old, new = interface(rulec, before), interface(rulec, after)
    planes = new["shape"][1] == 3
    size = new["shape"][2]
    failed = False
    with tempfile.TemporaryDirectory() as work:
        found = pictures(sys.argv[4] if len(sys.argv) > 4 else None, size)
        for i, picture in enumerate(found):
            numbers = picture.astype(np.float32)
            if planes:
                numbers = numbers.transpose(0, 3, 1, 2)
            a = run(rulec, before, old["name"], picture, Path(work, "before"))
            b = run(rulec, after, new["name"], np.ascontiguousarray(numbers), Path(work, "after"))
            same = difference(a, b)
            good = same is not None and same[1] <= 1e-5 and same[2] <= 1e-4
            failed |= not good
            if same is None:
                print(f"picture {i}: counts or classes differ")
            else:
                print(f"picture {i}: {same[0]} detections, scores differ by {same[1]:.1e} at most, "
                      f"boxes by {same[2]:.1e}{'' if good else ': too much'}")
        if not found:
            print("no picture has the model's size")
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
