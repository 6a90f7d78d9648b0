#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several callers at once: rulec's engines, ONNX Runtime and OpenVINO, in turns.

  python bench/throughput.py --rulec build/release/rulec MODEL.onnx … [--callers 2] [--turns 5]

Each caller has one thread. rulec's share an engine, ONNX Runtime's a session, OpenVINO's a compiled
model with as many streams. Printed are the images a second of all callers together, each side's best
turn, and the ratio of rulec to the better peer (above 1: rulec is faster). A model with an open batch
runs with --batch. Needs onnxruntime, openvino, numpy.
"""
import argparse, json, os, subprocess, sys, tempfile, threading, time

PEERS = ("ort", "ov")


def feed_of(inputs, batch):
    import numpy as np
    rng = np.random.default_rng(0)
    return {name: (rng.standard_normal([d or batch for d in shape]).astype(np.float32) if dtype == "f32"
                   else rng.integers(0, 2, [d or batch for d in shape]).astype(dtype))
            for name, shape, dtype in inputs}


def callers_of_ort(model, callers, batch):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = {"tensor(float)": "f32", "tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(uint8)": "uint8"}
    feed = feed_of([(i.name, [d if isinstance(d, int) else 0 for d in i.shape], names[i.type])
                    for i in session.get_inputs()], batch)
    return [lambda: session.run(None, feed)] * callers, next(iter(feed.values())).shape[0]


def callers_of_ov(model, callers, batch):
    import openvino
    compiled = openvino.Core().compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": str(callers),
        "INFERENCE_NUM_THREADS": callers})
    names = {"f32": "f32", "i64": "int64", "i32": "int32", "u8": "uint8"}
    feed = feed_of([(i.get_any_name(), [d.get_length() if d.is_static else 0 for d in i.get_partial_shape()],
                     names[i.get_element_type().get_type_name()]) for i in compiled.inputs], batch)
    requests = [compiled.create_infer_request() for _ in range(callers)]
    return [lambda r=r: r.infer(feed, share_inputs=True, share_outputs=True) for r in requests], \
        next(iter(feed.values())).shape[0]


def peer_turn(peer, model, callers, batch, seconds):
    runs, images = {"ort": callers_of_ort, "ov": callers_of_ov}[peer](model, callers, batch)
    for run in runs:
        run()
        run()
    counts, start = [0] * callers, time.perf_counter()
    end = start + seconds

    def call(i):
        while time.perf_counter() < end:
            runs[i]()
            counts[i] += 1
    threads = [threading.Thread(target=call, args=(i,)) for i in range(callers)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(json.dumps(sum(counts) * images / (time.perf_counter() - start)))


def out_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1][:160])
    return done.stdout


def rulec_turn(rulec, engine, callers, seconds, guess):
    runs = max(callers * 2, round(guess * seconds)) if guess else callers * 4
    told = json.loads(out_of([rulec, "bench", engine, "--threads", "1", "--callers", str(callers), "--json",
                              "--warmup", "0", "--iters", str(runs)]))
    return told["callers_images_per_second"], told["batch"]


def main():
    if sys.argv[1:2] == ["--turn"]:
        return peer_turn(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:6]), float(sys.argv[6]))
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="+")
    p.add_argument("--rulec", required=True)
    p.add_argument("--callers", type=int, default=2)
    p.add_argument("--batch", type=int, default=1, help="of an open dimension, for peers")
    p.add_argument("--turns", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.5, help="of a turn")
    a = p.parse_args()
    print("| model | callers | rulec images/s | ORT | OpenVINO | ratio |\n|---|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for model in a.models:
            name = os.path.basename(model)[:-5]
            engine = os.path.join(folder, name + ".engine")
            try:
                out_of([a.rulec, "build", model, "-o", engine])
                best, guess = dict.fromkeys(("rulec",) + PEERS, 0.0), None
                for _ in range(a.turns):
                    ours, images = rulec_turn(a.rulec, engine, a.callers, a.seconds, guess)
                    guess = ours / images
                    best["rulec"] = max(best["rulec"], ours)
                    for peer in PEERS:
                        theirs = json.loads(out_of([sys.executable, os.path.abspath(__file__), "--turn", peer, model,
                                                    str(a.callers), str(a.batch), str(a.seconds)]))
                        best[peer] = max(best[peer], theirs)
                print(f"| {name} | {a.callers} | {best['rulec']:.1f} | {best['ort']:.1f} | {best['ov']:.1f} | "
                      f"{best['rulec'] / max(best[p] for p in PEERS):.2f} |", flush=True)
            except RuntimeError as error:
                print(f"| {name} | {a.callers} | failed: {error} | | | |", flush=True)


if __name__ == "__main__":
    main()
