#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rulec's engines against ONNX Runtime, in turns, so that what else the machine does hits both.

  python bench/compare_ort.py --rulec build/release/rulec [--turns 5] [--threads 1 2] [NAME ...]

A turn is a process of its own: load, warm-up, then runs for about a quarter of a second. Printed are
each side's best turn's median and load, and the ratio ONNX Runtime / rulec (above 1: rulec is
faster). Inputs are each tool's own, seeded; f32, batch 1. Needs onnxruntime and numpy.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, "../../shared/models")
CARD = os.path.join(HERE, "../examples/shapes/card.rules")
DETECTIONS = "detection_boxes,detection_scores,detection_classes,num_detections"
# Name, file, sizes of the dimensions that the file leaves open, whether the two-line file is applied
# before rulec builds (ONNX Runtime runs the file as it is: it has no BatchedNMS_TRT).
ALL = [
    ("squeezenet", "squeezenet_tensor_input.onnx", {"None": 1}, False),
    ("yolox_nano", "yolox_nano.onnx", {}, False),
    ("version-RFB-320", "version-RFB-320.onnx", {}, False),
    ("face_detection_back", "face_detection_back_256x256_float32_opt.onnx", {}, False),
    ("FastestDet", "FastestDet.onnx", {}, False),
    ("mnist", "mnist.onnx", {}, False),
    ("gtcrn", "gtcrn_simple.onnx", {}, False),
    ("dtln_1", "model_1.onnx", {}, False),
    ("dtln_2", "model_2.onnx", {}, False),
    ("basic_pitch", "nmp.onnx", {"unk__749": 1}, False),
    ("ssd_mbv2 + two lines", "tfod/ssd_mbv2_c90_op11.onnx", {}, True),
    ("shapes + two lines", os.path.join(HERE, "../examples/shapes/shapes.onnx"), {}, True),
]


def ort_turn(model, threads, shapes, seconds):
    import numpy as np
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    start = time.perf_counter()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    load = time.perf_counter() - start
    random = np.random.default_rng(0)
    feed = {}
    for i in session.get_inputs():
        shape = shapes.get(i.name) or [d if isinstance(d, int) else shapes.get(d, 1) for d in i.shape]
        feed[i.name] = (random.integers(0, 256, shape).astype(np.uint8) if i.type == "tensor(uint8)"
                        else random.standard_normal(shape).astype(np.float32))
    for _ in range(3):
        session.run(None, feed)
    samples, end = [], time.perf_counter() + seconds
    while len(samples) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        session.run(None, feed)
        samples.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({"p50": statistics.median(samples), "load": 1e3 * load}))


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1][:160])
    return done.stdout


def rulec_turn(rulec, engine, threads, seconds, guess):
    iterations = max(5, min(2000, round(1e3 * seconds / guess))) if guess else 5
    out = json.loads(run([rulec, "bench", engine, "--threads", str(threads), "--json", "--warmup", "3",
                          "--iters", str(iterations)]))
    out = out[0] if isinstance(out, list) else out
    out = out.get("engines", [out])[0]
    return {"p50": out["ms"]["p50"], "load": out["load_ms"]}


def build(rulec, path, dims, two_lines, folder, name):
    """The engine, and for ONNX Runtime the sizes of inputs that the two lines narrowed."""
    shapes = dict(dims)
    if two_lines:
        report = os.path.join(folder, "out.onnx")
        run([rulec, "rewrite", path, "-r", CARD, "-o", report, "--outputs", DETECTIONS])
        path = report
    engine = os.path.join(folder, name.replace(" ", "_") + ".engine")
    run([rulec, "build", path, "-o", engine] + [x for d, n in dims.items() for x in ("--dim", f"{d}={n}")])
    if two_lines:
        import onnx
        for i in onnx.load(path).graph.input:
            shapes[i.name] = [d.dim_value or 1 for d in i.type.tensor_type.shape.dim]
    return engine, shapes


def main():
    if sys.argv[1:2] == ["--turn"]:
        return ort_turn(sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]), float(sys.argv[5]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--rulec", required=True)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=0.25, help="of a turn")
    options = parser.parse_args()
    print("| model | threads | rulec p50 ms | ORT p50 ms | ORT / rulec | rulec load ms | ORT load ms |")
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, file, dims, two_lines in ALL:
            path = os.path.join(MODELS, file)
            if options.names and name.split(" ")[0] not in options.names or not os.path.exists(path):
                continue
            try:
                engine, shapes = build(options.rulec, path, dims, two_lines, folder, name)
                for threads in options.threads:
                    best = {}
                    guess = None
                    for _ in range(options.turns):
                        ours = rulec_turn(options.rulec, engine, threads, options.seconds, guess)
                        theirs = json.loads(run([sys.executable, os.path.abspath(__file__), "--turn", path,
                                                 str(threads), json.dumps(shapes), str(options.seconds)]))
                        guess = ours["p50"]
                        for side, turn in (("rulec", ours), ("ort", theirs)):
                            for key, value in turn.items():
                                best[side, key] = min(value, best.get((side, key), value))
                    print(f"| {name} | {threads} | {best['rulec', 'p50']:.3f} | {best['ort', 'p50']:.3f} | "
                          f"{best['ort', 'p50'] / best['rulec', 'p50']:.2f} | {best['rulec', 'load']:.2f} | "
                          f"{best['ort', 'load']:.1f} |", flush=True)
            except RuntimeError as error:
                print(f"| {name} | | failed: {error} | | | | |", flush=True)


if __name__ == "__main__":
    main()
