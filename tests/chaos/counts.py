"""What happened, counted, and what went wrong. Shared by all threads of a run."""

import threading
import time
from collections import Counter
from pathlib import Path


class Counts:
    def __init__(self, log: Path, *, verbose: bool) -> None:
        self._lock = threading.Lock()
        self._log = log
        self._verbose = verbose
        self._began = time.monotonic()
        self.operations: Counter[tuple[str, str]] = Counter()  # (kind, done | failed | unknown)
        self.faults: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()  # processes that ended by themselves, and the excuse
        self.violations: list[str] = []
        self.checked: Counter[str] = Counter()

    def operation(self, kind: str, outcome: str) -> None:
        with self._lock:
            self.operations[kind, outcome] += 1

    def operations_so_far(self) -> Counter[tuple[str, str]]:
        with self._lock:
            return self.operations.copy()

    def fault(self, kind: str) -> None:
        with self._lock:
            self.faults[kind] += 1

    def check(self, what: str, times: int = 1) -> None:
        with self._lock:
            self.checked[what] += times

    def end(self, excuse: str) -> None:
        with self._lock:
            self.ends[excuse] += 1

    def violation(self, check: str, words: str) -> None:
        with self._lock:
            self.violations.append(f"{check}: {words}")
        self.say(f"VIOLATION of {check}: {words}", loud=True)

    def say(self, words: str, *, loud: bool = False) -> None:
        line = f"{time.strftime('%H:%M:%S')} {time.monotonic() - self._began:7.2f} {words}"
        with self._lock:
            with self._log.open("a") as log:
                log.write(line + "\n")
            if loud or self._verbose:
                print(line, flush=True)

    def table(self) -> str:
        kinds = sorted({kind for kind, _ in self.operations})
        lines = [f"{'operation':24}{'done':>8}{'failed':>8}{'unknown':>9}"]
        for kind in kinds:
            done, failed, unknown = (self.operations[kind, word] for word in ("done", "failed", "unknown"))
            lines.append(f"{kind:24}{done:8}{failed:8}{unknown:9}")
        lines += ["", f"{'fault':24}{'times':>8}"]
        lines += [f"{kind:24}{count:8}" for kind, count in sorted(self.faults.items())]
        lines += ["", f"{'checked':24}{'times':>8}"]
        lines += [f"{what:24}{count:8}" for what, count in sorted(self.checked.items())]
        if self.ends:
            lines += ["", "processes that ended by themselves:"]
            lines += [f"  {count} because {excuse}" for excuse, count in sorted(self.ends.items())]
        return "\n".join(lines)
