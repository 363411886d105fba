"""Runs the suites and counts: each function of a unit test, each case of pytest, each check of the lint is one.

./tests/run calls it with a finished build. Its last line is `N passed, N failed` (`, N skipped`), and nothing else
prints a line of that form. Each suite has a time limit; what does not end in time has failed.

SPDX-License-Identifier: MIT
"""

import argparse
import concurrent.futures
import contextlib
import copy
import hashlib
import io
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

TOP = pathlib.Path(__file__).resolve().parent.parent
# What does not end within these has failed. They are for a program as it is built by default, on a busy machine.
UNIT_SECONDS = 180  # one program; ten times that with --full
UNIT_FULL = {"LATENZA_KILLS": "1000", "LATENZA_POWER": "20", "LATENZA_PLAY_COUNT": "50000",
             "LATENZA_ROUNDS": "20"}  # the long versions, see test_storage, test_power, test_ledger_play, test_ledger_workers
LINT_SECONDS = 300
FUZZ_SECONDS = 120  # one corpus
FUZZ_FULL_RUNS = 10_000_000  # executions of each target with --full
FUZZ_FULL_SECONDS = 6 * 3600  # and no longer than that: the ledger wants three hours of a processor
FUZZ_JOBS = 2
# Compares are not traced: that was half of the time, and words are compared by memcmp() and strcmp(), which libFuzzer sees anyway.
FUZZ_CFLAGS = "-O2 -g -fno-sanitize-coverage=trace-cmp"
# Longer inputs are slower and have no more to say. The ledger's database and Lua keep memory from one input to the next,
# wherefore libFuzzer would look for leaks after each; at the end it does.
FUZZ_OPTIONS = {"ledger": ["-max_len=240", "-detect_leaks=0"], "match": ["-max_len=128", "-detect_leaks=0"], "guard": ["-max_len=96"],
                "sse": ["-max_len=320"], "yaml": ["-max_len=512"], "config": ["-max_len=1024"], "document": ["-max_len=1024"]}
FUZZ_LONG = ["-max_len=4096"]
FUZZ_ENVIRONMENT = {"ASAN_OPTIONS": "malloc_context_size=1:quarantine_size_mb=2:max_malloc_fill_size=256"}  # what is touched stays in the cache
STATIC_SECONDS = 1800
BUILD_SECONDS = 1800
# Where threads meet: the ledger, spools and their thread, snapshots of keys and configuration, tokens, cells, tasks.
THREAD_PROGRAMS = ["test_ledger", "test_spool", "test_storage", "test_keys", "test_limit", "test_live", "test_loop", "test_pool",
                   "test_metric", "test_log", "test_key_stage", "test_visit", "test_guard", "test_guard_storm", "test_server", "test_end"]
# Where bytes of others are read and memory is managed by hand; each takes valgrind a few seconds.
VALGRIND_PROGRAMS = ["test_addr", "test_arena", "test_buf", "test_clock", "test_document", "test_end", "test_fold", "test_frame", "test_http1", "test_json", "test_limit", "test_options",
                     "test_out", "test_parse", "test_read", "test_record", "test_script_names", "test_sse", "test_str", "test_value", "test_verdict", "test_yaml"]
VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible", "--child-silent-after-fork=yes"]
# With sanitizers a finding ends the process, and with it the test.
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1",
             "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
PYTEST_SECONDS = {"abi": 600, "lua": 600, "e2e": 2400, "faults": 1800, "bench": 900}
PYTEST_CASE_SECONDS = 300  # ten times that with --full, and a third of the suite's where that is more: every allocation of a start fails once
PYTEST_FULL = {"faults": 12}  # how many times as long a suite may be with --full; the others: 3
# How many times as long that may be where a tool slows the programs down, and what they leave out there.
PATIENCE = {"sanitize": 6, "coverage": 3, "threads": 10, "valgrind": 10}
UNIT_SHORT = {"LATENZA_PLAY_COUNT": "200", "LATENZA_POWER_STEP": "5", "LATENZA_CUTS_STEP": "20"}
SLOWEST = 8  # of each suite are named


class Count:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []
        self.took = []  # (seconds, name) of programs and of tests of pytest

    def add(self, name, outcome, why=""):
        if outcome == "passed":
            self.passed += 1
        elif outcome == "skipped":
            self.skipped.append((name, why))
        else:
            self.failed.append((name, why))

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.took += other.took
        return self


def run(argv, seconds, **more):
    """Exit code and output; the whole process group ends with it. Code None: it did not end in time."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", start_new_session=True, **more)
    try:
        out, _ = process.communicate(timeout=seconds)
        return process.returncode, out
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        return None, out


SANITIZER_SAYS = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: ")


def tail(text, lines=30):
    """The end, which says why; a sanitizer says it first and draws memory maps last. What failed before it stands above."""
    all_lines = text.rstrip().splitlines()
    said = next((i for i, line in enumerate(all_lines) if SANITIZER_SAYS.search(line)), None)
    before = [line for line in all_lines[:said or 0] if line.startswith(("not ok", "#"))]
    shown = all_lines[-lines:] if said is None else before[-8:] + all_lines[said:said + lines]
    return "\n".join("    " + line for line in shown)


def why_of(code):
    if code is None:
        return "did not end in time"
    return f"ended by signal {-code}" if code < 0 else f"exit code {code}"


def environment(build):
    """LATENZA_CORPORA: corpora beside the repository; tests that need them are skipped where there are none."""
    return {"LATENZA_CORPORA": str(TOP.parent / "shared/corpora"), **os.environ,
            "srcdir": str(TOP), "builddir": str(build), "LATENZA_BUILD": str(build)}


def make_list(name, file):
    """The words of a list in a .am file, without its `%D%/`."""
    text = (TOP / file).read_text()
    found = re.search(rf"(?m)^{name} =((?:[^\n]*\\\n)*[^\n]*)\n", text)
    return [] if found is None else found.group(1).replace("\\\n", " ").replace("%D%", "tests").split()


# ---- unit ----

TAP = re.compile(r"^(not ok|ok) \d+ (?:- )?(.*)$")


def count_tap(program, out):
    count = Count()
    for line in out.splitlines():
        found = TAP.match(line)
        if not found:
            continue
        name = f"{program}: {found.group(2).replace('# SKIP', '').strip()}"
        if "# SKIP" in line or "# skip" in line:
            count.add(name, "skipped", "asked to be skipped")
        else:
            count.add(name, "passed" if found.group(1) == "ok" else "failed")
    return count


def build_unit(build, names):
    code, out = run(["make", f"-j{os.cpu_count()}", *names], 900, cwd=build)
    if code != 0:
        print(tail(out))
    return code == 0


def run_programs(o, variable, only=None, under=()):
    """only: some of the list; under: what runs them."""
    count = Count()
    names = [n for n in make_list(variable, "tests/tests.am") if only is None or pathlib.Path(n).name in only]
    if names and not build_unit(o.build, ["-k", *names]):
        count.add(f"{variable}: build", "failed", "a test does not compile")
    for name in names:
        program = o.build / name
        if not program.exists():
            continue
        began = time.monotonic()
        code, out = run([*under, program], UNIT_SECONDS * o.patience * (10 if o.full else 1), cwd=TOP,
                        env={**environment(o.build), "CMOCKA_MESSAGE_OUTPUT": "TAP", **(UNIT_FULL if o.full else UNIT_SHORT if o.patience > 1 else {})})
        one = count_tap(program.name, out)
        one.took.append((time.monotonic() - began, program.name))
        if code != 0 and not one.failed:
            one.add(program.name, "failed", why_of(code))
        elif code == 0 and one.passed + len(one.skipped) == 0:
            one.add(program.name, "failed", "ran no test")
        if one.failed:
            print(f"  {program.name}: {why_of(code)}\n{tail(out)}")
        count += one
    return count


def suite_unit(o):
    count = run_programs(o, "UNIT_TESTS")
    count += run_programs(o, "UPSTREAM_TESTS")
    return count


# ---- lint ----

def suite_lint(o):
    count = Count()
    for path in sorted((TOP / "tests/lint").glob("*.sh")):
        name = f"lint: {path.stem}"
        code, out = run(["sh", path], LINT_SECONDS, cwd=TOP, env=environment(o.build))
        if code == 77:
            count.add(name, "skipped", out.strip().splitlines()[-1] if out.strip() else "")
        elif code == 0:
            count.add(name, "passed")
        else:
            print(f"  {name}: {why_of(code)}\n{tail(out)}")
            count.add(name, "failed", why_of(code))
    return count


# ---- static ----

def suite_static(o):
    """cppcheck; with --full also clang-tidy, which takes minutes."""
    count = Count()
    for path in sorted((TOP / "tests/static").glob("*.sh")):
        name = f"static: {path.stem}"
        if path.stem == "tidy" and not o.full:
            continue
        code, out = run(["sh", path], STATIC_SECONDS, cwd=TOP, env=environment(o.build))
        if code == 77:
            count.add(name, "skipped", out.strip())
        else:
            if code != 0:
                print(f"  {name}: {why_of(code)}\n{tail(out, 60)}")
            count.add(name, "passed" if code == 0 else "failed", why_of(code))
    return count


# ---- other builds ----

def other_build(o, suite, *words, folder=None, targets=None):
    """A build of the same tree with other flags, within the first; None: it failed. targets: not all of it."""
    build = o.build / (folder or f"{suite}-build")
    env = {**environment(build), "BUILD": str(build), "TARGETS": " ".join(targets or [])}
    code, out = run([TOP / "tests/build", *words], BUILD_SECONDS, env=env)
    if code != 0:
        print(tail(out))
        return None
    other = copy.copy(o)
    other.build = build
    # One program's seconds are another's minutes: the long versions are for the plain build.
    other.full, other.patience = False, PATIENCE[suite]
    return other


def suite_threads(o):
    """ThreadSanitizer; with --full over every unit test, and over gateways under load, reload, guardrails and scripts."""
    count = Count()
    only = None if o.full else THREAD_PROGRAMS
    other = other_build(o, "threads", "--enable-sanitize=thread", "CFLAGS=-O1 -g", folder="thread-build", targets=None if o.full else ["libcore.la"])
    if other is None:
        count.add("threads: build", "failed")
        return count
    # A suppression needs the stack of the earlier access: each thread keeps its last four million.
    os.environ["TSAN_OPTIONS"] = ("halt_on_error=1:second_deadlock_stack=1:history_size=7:"
                                  f"suppressions={TOP / 'tests/static/tsan.supp'}")
    count += run_programs(other, "UNIT_TESTS", only)
    if o.full:
        count += run_programs(other, "UPSTREAM_TESTS")
        count += suite_pytest("e2e", "-k", "reload or stream or keys or money or failover or ends or policies or guardrails")(other)
        count += suite_pytest("lua")(other)
    del os.environ["TSAN_OPTIONS"]
    return count


def suite_valgrind(o):
    """memcheck over the unit tests that it runs in seconds; over all of them with --full."""
    plain = copy.copy(o)
    plain.full, plain.patience = False, PATIENCE["valgrind"]
    only = None if o.full else VALGRIND_PROGRAMS
    return run_programs(plain, "UNIT_TESTS", only, VALGRIND)


def suite_sanitize(o):
    """Address, leak and undefined-behaviour sanitizers over every suite that runs our code."""
    count = Count()
    other = other_build(o, "sanitize", "--enable-sanitize", "CFLAGS=-O1 -g")
    if other is None:
        count.add("sanitize: build", "failed")
        return count
    os.environ.update(SANITIZED)
    for name in ("unit", "fuzz", "abi", "lua", "e2e", "faults"):
        print(f"  -- {name}", flush=True)
        count += SUITES[name](other)
    for name in SANITIZED:
        del os.environ[name]
    return count


def suite_coverage(o):
    """Counts lines and branches that unit, fuzz, abi, lua and e2e reach; the table is for tests/README.md."""
    count = Count()
    other = other_build(o, "coverage", "--enable-coverage", "CFLAGS=-O0 -g")
    if other is None:
        count.add("coverage: build", "failed")
        return count
    for counted in other.build.rglob("*.gcda"):
        counted.unlink()
    for name in ("unit", "fuzz", "abi", "lua", "e2e"):
        print(f"  -- {name}", flush=True)
        count += SUITES[name](other)
    report = other.build / "coverage.json"
    code, out = run(["gcovr", "-r", TOP, "--object-directory", other.build, "--filter", "core/", "--filter", "plugins/",
                     "--exclude-unreachable-branches", "--exclude-throw-branches", "--json-summary", report, other.build], 900, cwd=TOP)
    if code != 0:
        print(tail(out))
        count.add("coverage: report", "failed", why_of(code))
    else:
        print_coverage(json.loads(report.read_text())["files"])
    return count


def print_coverage(files):
    """By room, then the rooms' files that must be near complete."""
    rows = {}
    for one in files:
        name = pathlib.PurePath(one["filename"])
        keys = ["all", "/".join(name.parts[:-1])]
        if keys[1] == "core/key" or name.stem in ("jscan", "http1", "chunked", "sse", "target", "record"):
            keys.append(str(name))
        for key in keys:
            row = rows.setdefault(key, [0, 0, 0, 0])
            for i, member in enumerate(("line_covered", "line_total", "branch_covered", "branch_total")):
                row[i] += one[member]
    for key, (lines, of_lines, branches, of_branches) in sorted(rows.items()):
        print(f"  {key:28} {100 * lines / max(of_lines, 1):6.1f} % of {of_lines:5} lines, "
              f"{100 * branches / max(of_branches, 1):6.1f} % of {of_branches:5} branches")


# ---- fuzz ----

def suite_fuzz(o):
    count = Count()
    names = make_list("FUZZ_TARGETS", "tests/tests.am")
    if not names:
        return count
    if not build_unit(o.build, names):
        count.add("fuzz: build", "failed", "a target does not compile")
        return count
    for name in names:
        corpus = TOP / "tests/fuzz/corpus" / pathlib.Path(name).name.removeprefix("fuzz_")
        code, out = run([o.build / name, corpus], FUZZ_SECONDS * o.patience, env=environment(o.build))
        if code != 0:
            print(f"  {name}: {why_of(code)}\n{tail(out)}")
        count.add(f"fuzz: {name} replays its corpus", "passed" if code == 0 else "failed", why_of(code))
    if o.full:
        count += fuzz_for_long(o, names)
    return count


def fuzz_for_long(o, names):
    count = Count()
    build = o.build / "fuzz-build"
    env = {**environment(build), "BUILD": str(build), "CC": "clang-14"}
    code, out = run([TOP / "tests/build", "--enable-fuzz", f"CFLAGS={FUZZ_CFLAGS}"], 1200, env=env)
    if code == 0:
        code, out = run(["make", f"-j{os.cpu_count()}", *names], 1200, cwd=build)
    if code != 0:
        print(tail(out))
        count.add("fuzz: build with libFuzzer", "failed", why_of(code))
        return count
    print(f"  fuzz: {FUZZ_FULL_RUNS:,} executions of each target, {FUZZ_FULL_SECONDS} s at most, {FUZZ_JOBS} at a time", flush=True)
    with concurrent.futures.ThreadPoolExecutor(FUZZ_JOBS) as pool:
        for one in pool.map(lambda name: fuzz_one(build, name), names):
            count += one
    return count


def fuzz_one(build, name):
    """A finding fails; a machine too slow for all executions is a skip that says how many there were."""
    count = Count()
    short = pathlib.Path(name).name.removeprefix("fuzz_")
    grown = build / "grown" / short
    grown.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    code, out = run([build / name, f"-runs={FUZZ_FULL_RUNS}", f"-max_total_time={FUZZ_FULL_SECONDS}", "-timeout=20",
                     *FUZZ_OPTIONS.get(short, FUZZ_LONG), "-entropic=0", "-print_final_stats=1", grown, TOP / "tests/fuzz/corpus" / short],
                    FUZZ_FULL_SECONDS + 300, cwd=build, env={**os.environ, **FUZZ_ENVIRONMENT})
    found = re.search(r"stat::number_of_executed_units: (\d+)", out)
    done = int(found.group(1)) if found else 0
    print(f"  fuzz: {short}: {done:,} executions in {time.monotonic() - began:.0f} s", flush=True)
    title = f"fuzz: {name}, {FUZZ_FULL_RUNS:,} executions"
    if code != 0:
        print(f"  {name}: {why_of(code)}\n{tail(out)}")
        count.add(title, "failed", why_of(code))
    elif done < FUZZ_FULL_RUNS:
        count.add(title, "skipped", f"{done:,} in {FUZZ_FULL_SECONDS} s without a finding")
    else:
        count.add(title, "passed")
    return count


# ---- pytest ----

def packages(section):
    lines, on = [], False
    for line in (TOP / "tests/packages.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("["):
            on = line == f"[{section}]"
        elif on and line:
            lines.append(line)
    return lines


def prepared(folder, wanted, argvs):
    """Runs the commands once for this list of packages. Says whether what they install is there."""
    stamp = folder / "packages.stamp"
    digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return True
    for argv in argvs:
        code, out = run(argv, 600)
        if code != 0:
            print(f"  {' '.join(wanted)}: could not be installed: {why_of(code)}\n{tail(out, 5)}")
            return False
    stamp.write_text(digest)
    return True


def prepare_python(build):
    """An environment with the official SDK; the system's Python when the registry cannot be reached."""
    folder, wanted = build / "python", packages("pypi")
    fine = prepared(folder, wanted, [[sys.executable, "-m", "venv", "--system-site-packages", str(folder)],
                                     [str(folder / "bin/pip"), "install", "-q", "--disable-pip-version-check", *wanted]])
    return str(folder / "bin/python") if fine else sys.executable


def prepare_node(build):
    folder, wanted = build / "node", packages("npm")
    folder.mkdir(exist_ok=True)
    prepared(folder, wanted, [["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", *wanted]])


def count_junit(suite, file):
    count = Count()
    for case in ET.parse(file).iter("testcase"):
        name = f"{suite}: {case.get('classname', '').split('.')[-1]} {case.get('name')}"
        count.took.append((float(case.get("time", 0)), name.removeprefix(f"{suite}: ")))
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skip = case.find("skipped")
        if bad is not None:
            count.add(name, "failed", (bad.get("message") or "").splitlines()[0][:200] if bad.get("message") else "")
        elif skip is not None:
            count.add(name, "skipped", skip.get("message") or "")
        else:
            count.add(name, "passed")
    return count


def suite_pytest(suite, *more):
    def go(o):
        count = Count()
        folder = TOP / "tests" / suite
        if not list(folder.glob("test_*.py")):
            print(f"  tests/{suite} holds no tests yet")
            return count
        python = prepare_python(o.tools)
        prepare_node(o.tools)
        report = o.build / f"{suite}.xml"
        report.unlink(missing_ok=True)
        seconds = PYTEST_SECONDS[suite] * o.patience * (PYTEST_FULL.get(suite, 3) if o.full else 1)
        case_seconds = max(10 * PYTEST_CASE_SECONDS * o.patience, seconds // 3) if o.full else PYTEST_CASE_SECONDS * o.patience
        argv = [python, "-m", "pytest", str(folder), "-q", "--no-header", "-p", "no:cacheprovider",
                f"--junitxml={report}", f"--timeout={case_seconds}", *(["--full"] if o.full else []), *more, *o.pytest]
        code, out = run(argv, seconds, cwd=TOP / "tests",
                        env={**environment(o.build), "LATENZA_TOOLS": str(o.tools), "PYTHONDONTWRITEBYTECODE": "1"})
        if code not in (0, 5):
            print(tail(out, 120))
        if report.exists():
            count += count_junit(suite, report)
        if code not in (0, 1, 5) and not count.failed:
            count.add(f"{suite}: pytest", "failed", why_of(code))
        return count
    return go


def suite_abi(o):
    count = run_programs(o, "ABI_TESTS")
    count += suite_pytest("abi")(o)
    return count


SUITES = {
    "lint": suite_lint,
    "static": suite_static,
    "unit": suite_unit,
    "fuzz": suite_fuzz,
    "abi": suite_abi,
    "lua": suite_pytest("lua"),
    "e2e": suite_pytest("e2e"),
    "faults": suite_pytest("faults"),
    "bench": suite_pytest("bench"),
    "threads": suite_threads,
    "valgrind": suite_valgrind,
    "sanitize": suite_sanitize,
    "coverage": suite_coverage,
}
LONG_SUITES = ["sanitize", "coverage"]  # with --full, or when asked for
# Both wait most of their time: side by side they take as long as the longer one. Each is shown when it is done.
BESIDE = {"e2e": "faults"}


def cpu_seconds():
    """Of all children that have ended, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read_words(words):
    suites, rest = [], []
    full = False
    for word in words:
        if word == "--full":
            full = True
        elif rest or word.startswith("-"):
            rest.append(word)
        elif word in SUITES:
            suites.append(word)
        else:
            sys.exit(f"tests/run: there is no suite \"{word}\"; there are {', '.join(SUITES)}")
    return suites or [name for name in SUITES if full or name not in LONG_SUITES], rest, full


def run_suite(name, o):
    began, cpu = time.monotonic(), cpu_seconds()
    print(f"== {name}", flush=True)
    count = SUITES[name](o)
    if len(count.took) > 1:
        print("  slowest: " + ", ".join(f"{what} {seconds:.1f} s" for seconds, what in sorted(count.took, reverse=True)[:SLOWEST]))
    print(f"  {count.passed} fine, {len(count.failed)} not, {len(count.skipped)} left out, "
          f"{time.monotonic() - began:.1f} s, {cpu_seconds() - cpu:.1f} s of CPU", flush=True)
    return count


def run_quietly(name, o):
    """In a process of its own: what it says, and its count."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        count = run_suite(name, o)
    return said.getvalue(), count


def run_suites(names, o):
    total, beside = Count(), {}
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        for i, name in enumerate(names):
            if name in beside:
                said, count = beside.pop(name).result()
                print(said, end="", flush=True)
                total += count
                continue
            if BESIDE.get(name) in names[i + 1:]:
                prepare_python(o.tools)  # both would
                prepare_node(o.tools)
                beside[BESIDE[name]] = pool.submit(run_quietly, BESIDE[name], o)
            total += run_suite(name, o)
    return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("words", nargs="*")
    o = parser.parse_args()
    o.build = o.tools = o.build.resolve()
    suites, o.pytest, o.full = read_words(o.words)
    o.patience = 1
    total = run_suites(suites, o)
    for name, why in total.skipped:
        print(f"skipped: {name}: {why}")
    for name, why in total.failed:
        print(f"FAILED: {name}: {why}")
    print(f"{total.passed} passed, {len(total.failed)} failed" +
          (f", {len(total.skipped)} skipped" if total.skipped else ""))
    sys.exit(1 if total.failed or total.passed == 0 else 0)


if __name__ == "__main__":
    main()
