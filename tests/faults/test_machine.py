"""Faults of the machine itself: a read-only file system, a power cut, a busy database, a cut network, another user.

They mount file systems, make networks and change users: root only, and slow. See docs/faults.md.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from test_resume import ONE, after_one, check_resumed, models  # noqa: F401 - a fixture

from seisflow.io.atomic import sha256

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, make networks and change users"),
]
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
"""EXT4_IOC_SHUTDOWN of Linux, and its flag for a cut at once: what is not on the disk is lost."""


def sh(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def disk(tmp_path):
    """A file system of its own on a block device; ``mount`` and ``umount`` as often as one likes."""
    image, place = tmp_path / "disk.img", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(200 << 20)
    if sh("mkfs.ext4", "-q", image).returncode or sh("mount", "-o", "loop", image, place).returncode:
        pytest.skip("no ext4 can be made and mounted here")
    yield image, place
    sh("umount", "-l", place)


def again(disk: tuple[Path, Path]) -> None:
    """As after a restart of the machine."""
    image, place = disk
    for _ in range(50):
        if sh("umount", place).returncode == 0:
            break
        time.sleep(0.2)
    sh("e2fsck", "-p", image)
    found = sh("mount", "-o", "loop", image, place)
    assert found.returncode == 0, found.stderr


def one_record(root: Path) -> bool:
    return any((root / "iterations" / "i01" / "s00").glob("*.json"))


def check_records(root: Path) -> int:
    """All that records say was written is there, whole; how many records."""
    count = 0
    for path in (root / "iterations").rglob("*.json"):
        content = json.loads(path.read_text())
        for name, wanted in content.get("outputs", {}).items():
            assert sha256(root / name) == wanted, name
        count += 1
    return count


def test_a_file_system_that_turns_read_only_ends_the_run(disk, project, after_one):  # noqa: F811
    """Case 11."""
    root = tiny.copy(project, disk[1] / "project")
    os.sync()
    process = tiny.start(*ONE, "-p", root)
    try:
        tiny.wait_for(lambda: one_record(root), 120, process)
        cut = sh("mount", "-o", "remount,abort", disk[1])
        assert cut.returncode == 0, cut.stderr
        began = time.monotonic()
        _, error = process.communicate(timeout=120)
        assert time.monotonic() - began < 60
    finally:
        tiny.end(process)
    assert process.returncode == 1, error
    assert "Read-only file system" in error and "Traceback" not in error, error
    again(disk)
    check_records(root)
    check_resumed(root, after_one)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_power_cut_keeps_what_records_say(disk, project, after_one, number):  # noqa: F811
    """Case 13: the block device stops at once; what was not synced is gone, what a record names is there."""
    root = tiny.copy(project, disk[1] / "project")
    os.sync()
    process = tiny.start(*ONE, "-p", root)
    try:
        folder = root / "iterations" / "i01" / "s00"
        tiny.wait_for(lambda: len(list(folder.glob("*.json"))) >= number, 120, process)
        handle = os.open(disk[1], os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(handle)
        process.communicate(timeout=120)
    finally:
        tiny.end(process)
    assert process.returncode not in (0, None)
    again(disk)
    assert check_records(root) >= number
    check_resumed(root, after_one)


SERVER = """
import json, os, subprocess, sys, time, urllib.request
home, port = sys.argv[1], sys.argv[2]
url = f"http://127.0.0.1:{port}/api"
env = os.environ | {"PREFECT_HOME": home, "PREFECT_API_URL": url, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
words = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
server = subprocess.Popen(words, env=env, stdout=open(home + "/log", "w"), stderr=subprocess.STDOUT)
def ask(path, body=None):
    head = {"content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, data, head), timeout=20) as answer:
        return json.loads(answer.read())
for _ in range(300):
    try:
        ask("/health")
        break
    except OSError:
        time.sleep(0.5)
"""
DRIVE = """
root, seconds = sys.argv[3], float(sys.argv[4])
from pathlib import Path
words = [sys.executable, "-m", "seisflow", "iterate", "-i", "1", "-p", root]
driver = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
while driver.poll() is None and not list(Path(root, "iterations", "i01", "s00").glob("*.json")):
    time.sleep(0.05)
trouble()
out, error = driver.communicate(timeout=500)
states = []
for _ in range(60):
    states = [run["state_type"] for run in ask("/flow_runs/filter", {"sort": "NAME_ASC", "limit": 200})]
    if states and set(states) == {"COMPLETED"}:
        break
    time.sleep(1)
print(json.dumps({"code": driver.returncode, "error": error, "states": states}))
server.terminate()
server.wait()
"""
BUSY = """
import sqlite3
def trouble():
    held = sqlite3.connect(home + "/prefect.db", timeout=60, isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    time.sleep(seconds)
    held.execute("ROLLBACK")
"""
CUT = """
def trouble():
    subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
    time.sleep(seconds)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
"""
GONE = """
env["PREFECT_CLIENT_MAX_RETRIES"] = "1"
def trouble():
    server.kill()
    server.wait()
    _, error = driver.communicate(timeout=300)
    print(json.dumps({"code": driver.returncode, "error": error}))
    sys.exit()
"""


def with_trouble(code: str, root: Path, home: Path, seconds: float, *before: str) -> dict:
    """An iteration with a Prefect server that is in trouble for so long."""
    home.mkdir()
    words = [*before, sys.executable, "-c", SERVER + code + DRIVE, str(home), "4396", str(root), str(seconds)]
    found = subprocess.run(
        words, capture_output=True, text=True, timeout=900, check=False, start_new_session=True
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


def test_a_database_that_is_busy_for_a_minute_holds_up_no_result(project, after_one, tmp_path):  # noqa: F811
    """Case 17."""
    found = with_trouble(BUSY, project, tmp_path / "home", 100)
    assert found["code"] == 0 and "Traceback" not in found["error"], found["error"]
    assert models(project) == after_one
    assert set(found["states"]) == {"COMPLETED"}, found["states"]


def test_a_network_that_is_cut_holds_up_no_result(project, after_one, tmp_path):  # noqa: F811
    """Case 18: two minutes without the way to the server, in a network of its own."""
    if sh("unshare", "-n", "ip", "link", "set", "lo", "up").returncode:
        pytest.skip("no network of its own can be made here")
    words = ("unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    found = with_trouble(CUT, project, tmp_path / "home", 120, *words)
    assert found["code"] == 0 and "Traceback" not in found["error"], found["error"]
    assert models(project) == after_one


def test_a_server_that_is_gone_ends_the_run_with_a_sentence_and_it_goes_on_without(
    project,
    after_one,  # noqa: F811
    tmp_path,
):
    """Case 18, for good."""
    found = with_trouble(GONE, project, tmp_path / "home", 0)
    assert found["code"] == 1 and "Traceback" not in found["error"], found["error"]
    assert "answers no more" in found["error"] and "run the same command" in found["error"], found["error"]
    check_resumed(project, after_one)


HANDSHAKE = """
import socket, ssl, sys
way = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
way.check_hostname, way.verify_mode = False, ssl.CERT_NONE
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as plain, way.wrap_socket(plain) as secure:
    secure.sendall(b"x" * 64)
    answer = secure.recv(64)
    print("answered" if answer else "closed")
"""


def test_another_user_reads_and_plants_nothing_and_is_not_let_into_a_cluster(project, tmp_path):
    """Case 20: nobody, on the same machine."""
    if shutil.which("setpriv") is None or not Path("/usr/bin/python3").exists():
        pytest.skip("setpriv or /usr/bin/python3 is not there")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)  # so that only what seisflow does keeps nobody out

    def as_nobody(code: str, *words: object) -> subprocess.CompletedProcess[str]:
        other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        return sh(*other, "/usr/bin/python3", "-c", code, *words)

    reading = as_nobody("import sys; print(len(open(sys.argv[1]).read()))", project / "seisflow.yaml")
    assert reading.returncode == 0, reading.stderr  # it can get there at all
    (project / ".seisflow").mkdir(exist_ok=True)
    for name in ("seisflow.yaml", "models/m00.nc", "observed/a1.h5", ".seisflow/hashes.json", "evil.pickle"):
        found = as_nobody("import sys; open(sys.argv[1], 'ab').write(b'x')", project / name)
        assert found.returncode == 1 and "PermissionError" in found.stderr, (name, found)
    pytest.importorskip("distributed")
    from seisflow.schedulers.config import DaskRun
    from seisflow.schedulers.dask_cluster import dask_place

    with dask_place(DaskRun(), project, print, lambda: "", 1) as place:
        host, port = place.client.scheduler.address.removeprefix("tls://").split(":")
        assert host == "127.0.0.1"
        found = as_nobody(HANDSHAKE, host, port)
        assert "answered" not in found.stdout, found.stdout
        assert found.returncode == 1 or "closed" in found.stdout
