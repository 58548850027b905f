#!/usr/bin/env python3
"""Kills the release binary at each of its system calls, and lets each of them fail, then asks the next start to finish.

The binary is the one that is shipped, unmodified; strace does the damage. A server process of its own (the emulator, engine
`echo`) outlives the client and keeps the bill. After each blow the same command runs again, without strace, until it ends;
then: the audit closes, every image is billed once, texts are those of the undisturbed run, no temporary file is left, the
ledger is sound.

    tests/every_syscall.py                    every point (long)
    tests/every_syscall.py --most 300         at most 300 kills, half of that of each fault, a quarter of disks
    tests/every_syscall.py --seconds 300      as many as fit, evenly spread

Beside single calls, whole disks: kind `disk` puts the workspace on a tmpfs of each size that is too small, then makes room.
That one needs root, and is left out without it; it judges the writes that threads' calls to each other hide from strace.

Needs Linux, strace and a release binary (cargo build --release --locked). `when=n` counts per thread, so a point is the
n-th such call of whichever thread comes there first.
"""

import argparse
import json
import os
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

FILES = ["openat", "write", "pwrite64", "fsync", "syncfs", "fdatasync", "rename", "renameat", "renameat2", "linkat", "unlink",
         "unlinkat", "ftruncate", "mkdir", "mkdirat"]
SOCKETS = ["sendto", "sendmsg", "writev", "connect"]
# A full disk stays full; an I/O error comes once. Sockets know no full disk.
KINDS = {
    "kill": ("signal=SIGKILL:when={n}", FILES + SOCKETS),
    "ENOSPC": ("error=ENOSPC:when={n}+", FILES),
    "EIO": ("error=EIO:when={n}", FILES + SOCKETS),
}
SHARE = {"kill": 1.0, "ENOSPC": 0.5, "EIO": 0.5}
# No list of authorities, whose hundred files would be read for nothing.
ENVIRONMENT = {"SSL_CERT_FILE": "/dev/null"}
IMAGES = 8
LIVES = 6
PATIENCE = 40

SETTINGS = {
    "provider.name": "openai", "provider.settle": "200ms", "batch.poll_interval": "50ms",
    "batch.max_poll_interval": "100ms", "max_images_per_batch": "4", "image_dir": "in",
    "shard.max_bodies": "1", "run.give_up_after": "2s",
}


def png(seed):
    """A tiny picture of its own content."""
    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    rows = b"".join(b"\0" + bytes((seed * 29 + x * 3 + y) % 256 for x in range(12 * 3)) for y in range(9))
    head = struct.pack(">IIBBBBB", 12, 9, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Stage:
    """A workspace, a corpus, a server with its bill; gone at the end. `disk`: the workspace lies on one of so many KiB."""

    def __init__(self, binary, keep=False, disk=None):
        self.binary, self.keep, self.disk = binary, keep, disk
        self.folder = tempfile.mkdtemp(prefix="every-syscall-")
        self.work, self.bill = os.path.join(self.folder, "work"), os.path.join(self.folder, "bill.jsonl")
        if disk:
            os.mkdir(self.work)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk}k", "every-syscall", self.work], check=True)
        for n in range(IMAGES):
            tray = os.path.join(self.work, "in", f"tray_{n % 2}")
            os.makedirs(tray, exist_ok=True)
            with open(os.path.join(tray, f"page{n}.png"), "wb") as file:
                file.write(png(n))
        self.server = subprocess.Popen(
            [binary, "--workspace", self.folder, "--no-config", "emulate", "--engine", "echo", "--listen", "127.0.0.1:0",
             "--bill", self.bill, "--state", os.path.join(self.folder, "state")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env={}, text=True)
        self.url = None
        for line in self.server.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+(/v1)?", line)
            if found:
                self.url = found.group(0).removesuffix("/v1") + "/v1"
                break
        if self.url is None:
            raise SystemExit("the emulator does not start")
        # Its further words are read, lest it wait for a reader.
        threading.Thread(target=self.server.stdout.read, daemon=True).start()

    def command(self, *verb):
        words = [self.binary, "--workspace", self.work, "--no-config", "--yes", "--plain"]
        for key, value in {**SETTINGS, "api_url": f"{self.url}/chat/completions"}.items():
            words += ["--set", f"{key}={value}"]
        return words + list(verb)

    def call(self, words):
        """Runs to the end: exit code (None after PATIENCE, negative for a signal) and what it said."""
        child = subprocess.Popen(words, cwd=self.work, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, start_new_session=True)
        try:
            said = child.communicate(timeout=PATIENCE)[1]
            return child.returncode, said.decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return None, child.communicate()[1].decode("utf-8", "replace")

    def struck(self, inject, call, log):
        """One life under strace, with one blow."""
        trace = ["strace", "-f", "-y", "-qq", "-o", log, "-e", f"trace={call}", "-e", "signal=none"]
        # Faster; but a signal is not delivered at the stops that it makes.
        trace += [] if "signal=" in inject else ["--seccomp-bpf"]
        return self.call(trace + ["-e", f"inject={call}:{inject}"] + self.command("run"))

    def make_room(self):
        subprocess.run(["mount", "-o", "remount,size=64m", self.work], check=True)

    def texts(self):
        found = {}
        for folder, _, names in os.walk(os.path.join(self.work, "in")):
            for name in (name for name in names if not name.endswith(".png")):
                with open(os.path.join(folder, name), "rb") as file:
                    found[os.path.relpath(os.path.join(folder, name), self.work)] = file.read()
        return found

    def close(self):
        self.server.kill()
        self.server.wait()
        if self.disk:
            subprocess.run(["umount", self.work], check=True)
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def judged(stage, expected):
    """What does not hold at the end."""
    wrong = []
    code, said = stage.call(stage.command("audit"))
    if code != 0:
        wrong.append(f"audit ends with {code}: {last(said)}")
    times = {}
    with open(stage.bill) as bill:
        for entry in map(json.loads, bill):
            if entry["what"] == "line":
                for image in entry["images"]:
                    times[image] = times.get(image, 0) + 1
    if len(times) != IMAGES or any(n != 1 for n in times.values()):
        wrong.append(f"billed: {len(times)} images, {sum(times.values())} lines")
    texts = stage.texts()
    if texts != expected:
        wrong.append(f"texts differ: {sorted(set(texts) ^ set(expected)) or 'in content'}")
    left = [name for _, _, names in os.walk(stage.work) for name in names if name.startswith(".bs-")]
    if left:
        wrong.append(f"left over: {left}")
    # A copy, because a ledger whose write-ahead log stands cannot be read without writing beside it.
    copy = os.path.join(stage.folder, "ledger")
    shutil.copytree(os.path.join(stage.work, "batch"), copy, ignore=lambda _, names: [n for n in names if "ledger" not in n])
    ledger = sqlite3.connect(os.path.join(copy, "ledger.sqlite"))
    sound = ledger.execute("PRAGMA integrity_check").fetchone()[0]
    ledger.close()
    if sound != "ok":
        wrong.append(f"integrity_check: {sound}")
    return wrong


def last(said):
    lines = [line for line in said.strip().splitlines() if line]
    return " | ".join(lines[-3:])[:400]


def between_threads(hit):
    """A wake-up call between threads: no disk makes it fail, and a life may end of that as it likes."""
    return "anon_inode" in hit or "pipe:" in hit


def ended_badly(code, said, hits):
    """What is wrong with the end of a life in which calls failed."""
    if any(map(between_threads, hits)):
        return []
    if code is None:
        return [f"does not end: {last(said)}"]
    if code == 0:
        return []
    if code < 0 or code in (70, 101, 134, 139):
        return [f"exit {code}: {last(said)}"]
    if "panicked" in said or "stack backtrace" in said:
        return [f"panic text: {last(said)}"]
    # Its own words may have been hit.
    mute = any(re.match(r"\d+ +writev?\(2<", hit) for hit in hits)
    if not mute and not re.search(r"^error\[E\d+\]: .{8}|^error: .{8}|error while loading shared libraries", said, re.M):
        return [f"exit {code} without a word: {last(said)}"]
    return []


def whole(lines, place):
    """A line of the trace with the part that other threads' lines cut off."""
    thread, _, rest = lines[place].partition(" ")
    if not rest.lstrip().startswith("<..."):
        return lines[place]
    begun = (line for line in reversed(lines[:place]) if line.startswith(thread) and "<unfinished" in line)
    return next(begun, "") + lines[place]


def point(binary, kind, call, n, expected, keep):
    """One blow, and what comes of it: (reached, whether its end was not judged, violations)."""
    stage = Stage(binary, keep)
    try:
        log = os.path.join(stage.folder, "strace.log")
        code, said = stage.struck(KINDS[kind][0].format(n=n), call, log)
        with open(log, errors="replace") as file:
            lines = file.read().splitlines()
        if kind == "kill":
            hits, wrong = [line for line in lines if "killed by SIGKILL" in line], []
            reached = code == -signal.SIGKILL or bool(hits)
        else:
            hits = [whole(lines, place) for place, line in enumerate(lines) if "(INJECTED)" in line]
            reached, wrong = bool(hits), ended_badly(code, said, hits)
        for _ in range(LIVES):
            code, said = stage.call(stage.command("run"))
            if code == 0:
                break
        else:
            wrong.append(f"the next start ends with {code}: {last(said)}")
        wrong += judged(stage, expected)
        if wrong and hits:
            wrong.append(f"at {hits[0][:200]}")
        return reached, kind != "kill" and any(map(between_threads, hits)), wrong
    finally:
        stage.close()


def full_disk(binary, kib, expected, keep):
    """A life on a disk that becomes full, then one with room; the same three as of a point."""
    stage = Stage(binary, keep, disk=kib)
    try:
        code, said = stage.call(stage.command("run"))
        wrong = ended_badly(code, said, [])
        stage.make_room()
        for _ in range(LIVES):
            again, said = stage.call(stage.command("run"))
            if again == 0:
                break
        else:
            wrong.append(f"the next start ends with {again}: {last(said)}")
        wrong += judged(stage, expected)
        return code != 0, False, wrong
    finally:
        stage.close()


def undisturbed(binary):
    """Texts of a run without any blow, and how often each call is made by the thread that makes it most often."""
    stage = Stage(binary)
    try:
        log = os.path.join(stage.folder, "strace.log")
        calls = ",".join(f"?{call}" for call in FILES + SOCKETS)
        trace = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", log, "-e", f"trace={calls}", "-e", "signal=none"]
        begun = time.monotonic()
        code, said = stage.call(trace + stage.command("run"))
        if code != 0:
            raise SystemExit(f"the undisturbed run ends with {code}: {last(said)}")
        counts = {}
        with open(log, errors="replace") as file:
            for line in file:
                made = re.match(r"(\d+) +(\w+)\(", line)
                if made:
                    counts.setdefault(made.group(2), {}).setdefault(made.group(1), 0)
                    counts[made.group(2)][made.group(1)] += 1
        wrong = judged(stage, stage.texts())
        if wrong or len(stage.texts()) != IMAGES:
            raise SystemExit(f"the undisturbed run: {wrong}")
        print(f"one run under strace: {time.monotonic() - begun:.1f} s")
        return stage.texts(), {call: max(by_thread.values()) for call, by_thread in counts.items()}
    finally:
        stage.close()


def spread(points, most):
    """At most so many of each call's points, evenly: first all of the rare calls, then of the others as many as fit."""
    by_call = {}
    for item in points:
        by_call.setdefault(item[1], []).append(item)
    chosen = []
    for place, some in enumerate(sorted(by_call.values(), key=len)):
        share = min(len(some), (most - len(chosen)) // (len(by_call) - place))
        chosen += [some[i * len(some) // share] for i in range(share)]
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--binary", default=os.path.join(root, "target", "release", "batchscribe"))
    parser.add_argument("--most", type=int, metavar="N", help="at most N kills, and half as many of each fault")
    parser.add_argument("--seconds", type=float, metavar="S", help="begin no point after so long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="points at once")
    parser.add_argument("--kind", choices=[*KINDS, "disk"], action="append", help="these kinds alone")
    parser.add_argument("--call", action="append", help="these calls alone")
    parser.add_argument("--keep", action="store_true", help="keep the folders of all points")
    options = parser.parse_args()
    if not shutil.which("strace"):
        raise SystemExit("strace is missing: install it, such as with  apt-get install strace")
    if not os.access(options.binary, os.X_OK):
        raise SystemExit(f"{options.binary} is missing: cargo build --release --locked")

    expected, counts = undisturbed(options.binary)
    # Threads wake each other more or less often: what both runs come to is there to be reached.
    again = undisturbed(options.binary)[1]
    counts = {call: min(most, again.get(call, 0)) for call, most in counts.items() if again.get(call)}
    plan = []
    kinds = options.kind or [*KINDS, "disk"]
    for kind in kinds:
        if kind == "disk":
            # Only root may mount one. From one that the pictures just fit on, page by page.
            sizes = [(kind, "tmpfs", kib) for kib in range(48, 1024, 4)] if os.geteuid() == 0 else []
            plan.append(spread(sizes, options.most // 4) if options.most else sizes)
            continue
        calls = [call for call in KINDS[kind][1] if call in counts and call in (options.call or counts)]
        points = [(kind, call, n) for call in calls for n in range(1, counts[call] + 1)]
        plan.append(spread(points, int(options.most * SHARE[kind]) if options.most else len(points)))
    every = sum(len(points) for points in plan)
    # Shuffled by a fixed stride, so that what time cuts off is cut off everywhere alike.
    flat = [item for points in plan for item in points]
    stride = next((s for s in (613, 617, 619, 631) if every % s), 1)
    order = [flat[i * stride % every] for i in range(every)]

    begun, table, lock = time.monotonic(), {}, threading.Lock()

    def work(item):
        if options.seconds and time.monotonic() - begun > options.seconds:
            return
        kind, call, n = item
        try:
            if kind == "disk":
                reached, excused, wrong = full_disk(options.binary, n, expected, options.keep)
            else:
                reached, excused, wrong = point(options.binary, kind, call, n, expected, options.keep)
        except Exception as error:  # A point that cannot be judged has not passed.
            reached, excused, wrong = True, False, [f"the check itself fails: {error!r}"]
        with lock:
            row = table.setdefault((kind, call), [0, 0, 0, 0])
            for place, value in enumerate([True, reached, excused, bool(wrong)]):
                row[place] += value
            if wrong:
                print(f"VIOLATION {kind} {call} {n}: " + "; ".join(wrong), flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(work, order))

    print("\nexcused: a call between threads was hit, so the end of that life was not judged; the next one's was")
    print(f"{'fault':8} {'call':12} {'points':>7} {'reached':>8} {'excused':>8} {'violations':>11}")
    failed = False
    for kind in kinds:
        rows = [(call, row) for (of, call), row in sorted(table.items()) if of == kind]
        for call, row in rows:
            print(f"{kind:8} {call:12} {row[0]:7} {row[1]:8} {row[2]:8} {row[3]:11}")
        points, reached, excused, wrong = (sum(row[place] for _, row in rows) for place in range(4))
        print(f"{kind:8} {'all':12} {points:7} {reached:8} {excused:8} {wrong:11}")
        failed |= wrong > 0
        # Threads do not come to the same number of calls each time; but nearly.
        if kind != "disk" and points and reached < 0.95 * points:
            print(f"{kind}: more than 5 % of the points were not reached")
            failed = True
    print(f"{sum(row[0] for row in table.values())} of {every} points in {time.monotonic() - begun:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
