"""``seisflow doctor`` says what a machine has, and what to do for what it lacks."""

import http.server
import json
import threading

import pytest
from typer.testing import CliRunner

from seisflow.cli import app
from seisflow.native.cuda import gpu_problem
from seisflow.steps import doctor


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def run(*arguments):
    return CliRunner().invoke(app, ["doctor", *arguments])


def by_name(result):
    return {each["name"]: each for each in json.loads(result.stdout)}


def test_what_is_needed_is_found():
    result = run("--json")
    found = by_name(result)
    assert result.exit_code == 0
    for name in ("Python", "seisflow", "compiled kernels", "cores", "Prefect"):
        assert found[name]["state"] == "ok", found[name]
    assert "SIMD level" in found["compiled kernels"]["what"]
    assert all(each["state"] in ("ok", "missing") for each in found.values())
    assert (found["GPU"]["state"] == "ok") == (gpu_problem() is None)


def test_what_is_missing_has_a_remedy(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda command: None)
    monkeypatch.setattr(doctor, "_version", lambda package: "3.9" if package == "prefect" else None)
    found = by_name(run("--json"))
    assert "pip install 'seisflow[mpi]'" in found["MPI"]["remedy"]
    assert found["extra ml"]["remedy"] == "pip install 'seisflow[ml]'"
    assert "sbatch" in found["batch system"]["what"]
    text = run().stdout
    assert "-> " in text and text.endswith("all that is needed works; - is optional\n")


def test_batch_systems_are_named(monkeypatch):
    monkeypatch.setattr(
        doctor.shutil, "which", lambda command: f"/opt/{command}" if command == "sbatch" else None
    )
    assert by_name(run("--json"))["batch system"]["what"] == "Slurm (/opt/sbatch)"


def test_a_server_that_does_not_answer_is_broken(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    result = run()
    assert result.exit_code == 1
    assert "does not answer" in result.stdout and "does not work: Prefect" in result.stdout


def test_a_server_that_answers_is_found(monkeypatch):
    class Healthy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/api/health" else 404)
            self.end_headers()

        def log_message(self, *arguments):
            """Nobody reads it."""

    with http.server.HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/api"
        monkeypatch.setenv("PREFECT_API_URL", address)
        found = by_name(run("--json"))["Prefect"]
        server.shutdown()
    assert found["state"] == "ok" and address in found["what"]
