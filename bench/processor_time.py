#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processor time of a run with one thread: rulec, ONNX Runtime and OpenVINO, in turns.

  python bench/processor_time.py --rulec build/release/rulec MODEL.onnx … [--turns 5]

For a machine that others use too: waiting does not count, though a busy neighbour still slows caches
and clocks, so a side's figure is its least of the turns. Open dimensions are 1. rulec's is the
difference between a process of many runs and one of few. Needs onnxruntime, openvino, numpy.
"""
import argparse, json, os, resource, subprocess, sys, tempfile, time

import throughput


def peer_turn(peer, model, seconds):
    runs, _ = {"ort": throughput.callers_of_ort, "ov": throughput.callers_of_ov}[peer](model, 1, 1)
    for _ in range(2):
        runs[0]()
    count, start = 0, time.process_time()
    while time.process_time() - start < seconds or count < 3:
        runs[0]()
        count += 1
    print(json.dumps((time.process_time() - start) / count * 1e3))


def rulec_seconds(rulec, engine, runs):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    throughput.out_of([rulec, "bench", engine, "--threads", "1", "--json", "--warmup", "2", "--iters", str(runs)])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rulec_turn(rulec, engine, seconds):
    few = rulec_seconds(rulec, engine, 1)
    guess = max(1e-5, (rulec_seconds(rulec, engine, 4) - few) / 3)
    runs = max(4, min(20000, round(seconds / guess)))
    return (rulec_seconds(rulec, engine, runs + 1) - few) / runs * 1e3


def main():
    if sys.argv[1:2] == ["--turn"]:
        return peer_turn(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="+")
    p.add_argument("--rulec", required=True)
    p.add_argument("--turns", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.5, help="of a turn")
    a = p.parse_args()
    print("| model | rulec ms | ORT ms | OpenVINO ms | ratio to the better |\n|---|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for model in a.models:
            name = os.path.basename(model)[:-5]
            engine = os.path.join(folder, name + ".engine")
            throughput.out_of([a.rulec, "build", model, "-o", engine])
            best = {}
            for _ in range(a.turns):
                got = {"rulec": rulec_turn(a.rulec, engine, a.seconds)}
                for peer in throughput.PEERS:
                    got[peer] = json.loads(throughput.out_of(
                        [sys.executable, os.path.abspath(__file__), "--turn", peer, model, str(a.seconds)]))
                for side, ms in got.items():
                    best[side] = min(ms, best.get(side, ms))
            print(f"| {name} | {best['rulec']:.2f} | {best['ort']:.2f} | {best['ov']:.2f} | "
                  f"{best['rulec'] / min(best[p] for p in throughput.PEERS):.2f} |", flush=True)


if __name__ == "__main__":
    main()
