"""Slurm: says before and after it takes a job why it never would start, and how elements ended."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from seisflow.errors import InputError, WorkError
from seisflow.schedulers.system import Element, Script, System, ask, said

__all__ = ["Slurm"]

_NEVER = re.compile(
    r"PartitionConfig|PartitionTimeLimit|PartitionNodeLimit|BadConstraints|InvalidAccount|InvalidQOS|AccountNotAllowed|"
    r"QOSNotAllowed|.*account.*(not|invalid).*|.*(not|invalid).*account.*",
    re.IGNORECASE,
)
"""Reasons to wait that no waiting ends."""
_OVER = {
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"),
    *("PREEMPTED", "REVOKED"),
}


class Slurm(System):
    """See ``System``."""

    def check(self, script: Script) -> None:
        """See ``System``; by ``sbatch --test-only``."""
        words = self.write(script)
        answer = ask(["sbatch", "--test-only", *self._submit_words(script, words)[1:]])
        if answer.returncode:
            raise InputError(f"slurm would refuse {script.name}: {_plain(said(answer))}")

    def submit(self, script: Script) -> str:
        """See ``System``; a job that is taken but would wait for ever is refused too."""
        try:
            job = super().submit(script)
        except InputError as error:
            raise InputError(_plain(str(error))) from None
        for _ in range(3):
            found = self.elements(job) or []
            told = next((each.reason for each in found if each.state == "PENDING"), "None")
            if _NEVER.fullmatch(told):
                self.cancel([job])
                raise InputError(f"slurm took {script.name}, but would never start it: {told}")
            if told != "None":
                break
            time.sleep(0.2)
        return job

    def _submit_words(self, script: Script, words: Mapping[str, str]) -> list[str]:
        first, *others = super()._submit_words(script, words)
        log = str(script.logs / ("%a.log" if script.count and script.count > 1 else "0.log"))
        return [first, f"--output={log}", *others]

    def elements(self, job: str) -> list[Element] | None:
        """See ``System``."""
        try:
            answer = ask(
                ["squeue", "--noheader", "--array", "--states=all", f"--jobs={job}", "--format=%i|%T|%r"]
            )
        except WorkError:
            return None
        if answer.returncode and "Invalid job id" not in answer.stderr:
            return None  # the controller does not answer
        found = []
        for line in answer.stdout.splitlines():
            number, state, reason = line.split("|", 2)
            index = number.partition("_")[2] or "0"
            if index.isdigit():
                found.append(Element(int(index), state, state in _OVER, reason))
        return found


def _plain(text: str) -> str:
    """Without the names of commands that Slurm puts before what it says."""
    return re.sub(r"(sbatch: error: |allocation failure: )", "", text)
