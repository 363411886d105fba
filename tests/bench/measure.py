#!/usr/bin/env python3
"""Prints what tests/README.md says under "Measured". Usage: measure.py BUILD [ROW]... (see ROWS; all by default)

SPDX-License-Identifier: MIT
"""

import os
import platform
import sys
import tempfile

import bench


def show_ratios(build, folder, log_content):
    for name, r in bench.ratios(build, folder, log_content).items():
        lo, hi = r["ratio"][0], r["ratio"][-1]
        print(f"| {bench.CASES[name][0]}, content {log_content} | {r['g']['cpu_us']:.1f} | {r['h']['cpu_us']:.1f} "
              f"| {r['ratio'][len(r['ratio']) // 2]:.2f} ({lo:.2f}-{hi:.2f}) | {r['g']['p50_us']:.0f} / {r['h']['p50_us']:.0f} "
              f"| {r['g']['p99_us']:.0f} / {r['h']['p99_us']:.0f} |", flush=True)


def ratios_full(build, folder):
    show_ratios(build, folder, "full")


def ratios_off(build, folder):
    show_ratios(build, folder, "off")


def instructions(build, folder):
    for content in ("full", "off"):
        inner = os.path.join(folder, content)
        os.mkdir(inner)
        worker, everything = bench.instructions(build, inner, log_content=content)
        print(f"user instructions per 1 KB request, content {content}: worker {worker:.0f}, all threads {everything:.0f}")


def redaction(build, folder):
    us = bench.redaction_cpu_us(build, folder)
    print(f"CPU per 4 KB request: no guardrail {us['none']:.1f} us, pii in C {us['c'] - us['none']:+.1f} us, "
          f"pii.lua {us['lua'] - us['none']:+.1f} us")


def system_calls(build, folder):
    for name, n in sorted(bench.system_calls(build, folder).items(), key=lambda i: -i[1]):
        print(f"system calls per 1 KB request: {name} {n:.2f}")


def keys(build, folder):
    none, many = (bench.with_keys(build, os.path.join(folder, str(n)), n) for n in (0, 100000))
    print(f"start to first answer, no keys / 100,000: {none['start_ms']:.0f} / {many['start_ms']:.0f} ms")
    print(f"CPU per request, 1 key / 100,001: {none['cpu_us']:.1f} / {many['cpu_us']:.1f} us = "
          f"{many['cpu_us'] / none['cpu_us']:.2f}")
    print(f"resident after start: {none['rss_kb']} / {many['rss_kb']} KB")


def streams(build, folder):
    print(f"resident per idle stream, of 5,000: {bench.idle_streams(build, folder, 5000):.1f} KB")


ROWS = {f.__name__: f for f in (ratios_full, ratios_off, instructions, redaction, system_calls, keys, streams)}


def main():
    if len(sys.argv) < 2 or any(w not in ROWS for w in sys.argv[2:]):
        sys.exit(f"usage: measure.py BUILD [{'|'.join(ROWS)}]...")
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.2f}")
    for name in sys.argv[2:] or ROWS:
        with tempfile.TemporaryDirectory() as folder:
            ROWS[name](os.path.abspath(sys.argv[1]), folder)


main()
