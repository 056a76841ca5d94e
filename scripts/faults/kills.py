"""Faults of processes, disks, folders and clocks, each in every kind of work."""

import contextlib
import os
import pathlib
import random
import resource
import shutil
import signal
import threading
import time

import processes
import services
from results import GOOD
from work import KINDS

# Of the time that the work takes undisturbed.
EARLIEST, LATEST = 0.02, 1.05
DAY = 86_400


class Kills:
    """Runs the trials that the results lack.

    Args:
        scratch: folder with what `work.prepare` has made.
        addresses: dict of services.
        results: `Results`.
        args: options of the command.
        clock: path of the file with the offset of this process's clock, or None.
    """

    def __init__(self, scratch, addresses, results, args, clock=None):
        self.scratch, self.addresses, self.results = scratch, addresses, results
        self.args, self.clock = args, clock
        self.backend = os.environ["KERAS_BACKEND"]
        self.log = scratch / "log"

    def run(self):
        """All faults in all kinds of work that were asked for."""
        for kind in KINDS:
            if self.args.work and kind.name() not in self.args.work:
                continue
            faults = {
                "SIGKILL": (self.killed, self.args.moments),
                "disk full": (self.full, self.args.moments // 5),
                "folder read-only": (self.read_only, self.args.moments // 10),
                "two processes": (self.twice, self.args.moments // 10),
            }
            if self.clock:
                faults = {"clock that jumps": (self.jumping, self.args.moments // 5)}
            wanted = {
                fault: (function, count)
                for fault, (function, count) in faults.items()
                if self._moments(fault, kind) < count and self._applies(fault, kind)
            }
            if not wanted:
                continue
            alone = self._fresh(kind)
            begin = time.monotonic()
            if processes.run(alone.run, self.log):
                raise SystemExit(f"{kind.name()} fails undisturbed:\n{self._said()}")
            self.seconds = time.monotonic() - begin
            self.expected = self._result(alone)
            self.largest = max(p.stat().st_size for p in self._files(alone.folder))
            print(f"{kind.name()}: {self.seconds:.1f} s undisturbed", flush=True)
            for fault, (function, count) in wanted.items():
                self._trials(fault, kind, function, count)

    def _applies(self, fault, kind):
        # The processes of a cluster keep their own limits, rights and clocks.
        return kind.name() != "captioning on Ray" or fault in ("SIGKILL", "two processes")

    def _name(self, kind):
        return f"{kind.name()}, {self.backend}" if kind.computes else kind.name()

    def _moments(self, fault, kind):
        return sum(row["moments"] for row in self.results.of(fault, self._name(kind)))

    def _trials(self, fault, kind, function, count):
        while (moments := self._moments(fault, kind)) < count:
            number = len(self.results.of(fault, self._name(kind)))
            rng = random.Random(f"{self.args.seed} {fault} {kind.name()} {number}")
            self.log.write_text("")
            moments, outcome = function(self._fresh(kind), rng, count - moments)
            row = {"fault": fault, "work": self._name(kind), "trial": number, "moments": moments}
            if outcome != GOOD:
                row["said"] = self._said()
            self.results.add({**row, "outcome": outcome})
            done = self._moments(fault, kind)
            print(f"{fault}, {kind.name()}: {done} of {count}; {outcome}", flush=True)

    def killed(self, work, rng, most):
        """Kills of one piece of work, until it gets through."""
        moments = 0
        while moments < most:
            pid = processes.start(work.run, self.log)
            moment = rng.uniform(EARLIEST, LATEST) * self.seconds
            # An actor dies and the run goes on, or the process that drives it dies.
            if work.name() == "captioning on Ray" and rng.random() < 0.5:
                killer = _after(moment, _kill_an_actor)
                code = processes.wait(pid)
                killer.join()
                moments += killer.hit
                if code == 0:
                    break
                if killer.hit:
                    return moments, f"ended with {code} when an actor was killed"
                continue
            code = processes.wait(pid, moment)
            if code == 0:
                break
            moments += 1
            if code != -signal.SIGKILL:
                return moments, f"ended with {code}"
            if processes.run(work.check, self.log):
                return moments, "a half file is left"
        return moments, self._resumed(work)

    def full(self, work, rng, most):
        """No file grows beyond some bytes, as on a full disk."""
        limit = rng.randrange(self.largest)

        def run():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            work.run()

        # The log is a file, too.
        code = processes.run(run)
        if code < 0:
            return 1, f"ended with {code} at {limit} bytes"
        if processes.run(work.check, self.log):
            return 1, f"a half file is left at {limit} bytes"
        return 1, self._resumed(work)

    def read_only(self, work, rng, most):
        """After a kill the folder is read-only, for an account that is not the administrator's."""
        processes.run(work.run, self.log, rng.uniform(EARLIEST, LATEST) * self.seconds)
        paths = [work.folder, *work.folder.rglob("*")]
        modes = {path: path.stat().st_mode for path in paths if not path.is_symlink()}
        for path, mode in modes.items():
            path.chmod(mode & ~0o222 | 0o444)
        before = _contents(work.folder)

        def run():
            services.without_rights()
            work.run()

        log = self.scratch / "read-only.log"
        log.write_text("")
        log.chmod(0o666)
        code = processes.run(run, log)
        said = log.read_text()
        for path, mode in modes.items():
            path.chmod(mode)
        if _contents(work.folder) != before:
            return 1, "a read-only folder was changed"
        if code < 0 or (code and "ermission" not in said and "ead-only" not in said):
            return 1, f"ended with {code}: {said[-300:]}"
        if processes.run(work.check, self.log):
            return 1, "a half file is left"
        return 1, self._resumed(work)

    def twice(self, work, rng, most):
        """Two processes at once: one is refused, or both share the work."""
        first = processes.start(work.run, self.log)
        time.sleep(rng.uniform(0, 0.8) * self.seconds)
        second = processes.start(work.run, self.log)
        codes = [processes.wait(first), processes.wait(second)]
        refused = sum(code > 0 for code in codes)
        if min(codes) != 0 or refused > (0 if work.shared else 1):
            return 1, f"ended with {codes}"
        return 1, self._resumed(work)

    def jumping(self, work, rng, most):
        """The clock jumps by years while the work runs and is killed, and again when it resumes."""
        for _ in range(rng.randrange(1, 3)):
            pid = processes.start(work.run, self.log)
            moment = rng.uniform(EARLIEST, LATEST) * self.seconds
            jumps = [_after(moment * part, self._jump, rng) for part in (0.3, 0.6)]
            processes.wait(pid, moment)
            for jump in jumps:
                jump.join()
            if processes.run(work.check, self.log):
                return 1, "a half file is left"
        outcome = self._resumed(work)
        self._jump(rng, 0)
        return 1, outcome

    def _jump(self, rng, days=None):
        days = rng.randrange(-4000, 4000) if days is None else days
        partial = self.clock.with_suffix(".new")
        partial.write_text(f"{days * DAY:+d}\n")
        partial.replace(self.clock)

    def _resumed(self, work):
        if code := processes.run(work.run, self.log):
            return f"resuming ended with {code}"
        return GOOD if self._result(work) == self.expected else "another result"

    def _result(self, work):
        found = processes.value_of(work.result, self.log)
        if found is None:
            return b"no result"
        return found

    def _fresh(self, kind):
        folder = self.scratch / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return kind(folder, self.scratch, self.addresses)

    def _files(self, folder):
        return [path for path in folder.rglob("*") if path.is_file()]

    def _said(self):
        return self.log.read_text(errors="replace")[-3000:]


def _contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _after(seconds, function, *args):
    """A thread that calls a function later; its `hit` is what came of it."""

    def call():
        time.sleep(seconds)
        thread.hit = bool(function(*args))

    thread = threading.Thread(target=call)
    thread.hit = False
    thread.start()
    return thread


def _kill_an_actor():
    for pid in services.processes_named("CaptionImages"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def libfaketime():
    """Path of the library that lies about the time; None where it is not installed."""
    found = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return found[0] if found else None
