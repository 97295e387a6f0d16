"""Secrets and config maps: set by the command line, seen by steps, and by nobody else."""

import json
import os
import subprocess

import pytest

from harness import BINARY, caudal
from ir import output_file, pipeline, shell, step

VALUE = "hunter2-7c1f6e0b"
FILE_VALUE = "line one\nline two 5d0a9e77\n"


@pytest.fixture
def server(fresh):
    return fresh().start()


def with_kubernetes(spec, executors):
    """The pipeline with settings of its executors, as the SDK's kubernetes extension writes them."""
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    return {"pipeline_spec": spec, "platform_spec": platform}


def reader(**settings):
    """One step that writes down what it was given."""
    spec = pipeline("reader", {"read": step(
        shell('test -n "$TOKEN" && printf %s "$TOKEN" | wc -c | tr -d " \\n" > "$0"; '
              'test -f /mnt/creds/cert && cat /mnt/creds/cert | wc -l | tr -d " \\n" > "$1"; '
              'printf %s "$MODE" > "$2"',
              output_file("length"), output_file("lines"), output_file("mode")),
        out={"length": "STRING", "lines": "STRING", "mode": "STRING"})})
    return with_kubernetes(spec, {"exec-read": settings})


SETTINGS = {
    "secretAsEnv": [{"secretName": "registry",
                     "keyToEnv": [{"secretKey": "token", "envVar": "TOKEN"}]}],
    "secretAsVolume": [{"secretName": "registry", "mountPath": "/mnt/creds"}],
    "configMapAsEnv": [{"configMapName": "app",
                        "keyToEnv": [{"configMapKey": "mode", "envVar": "MODE"}]}],
}


def words(server, *given, stdin=None):
    done = subprocess.run([str(BINARY), *map(str, given), "--data-dir", str(server.data_dir)],
                          capture_output=True, text=True, timeout=60, input=stdin or "",
                          env={**os.environ, "NO_COLOR": "1"})
    return done


def set_both(server, tmp_path):
    cert = tmp_path / "cert.pem"
    cert.write_text(FILE_VALUE)
    done = words(server, "secret", "set", "registry", "token=-", f"cert=@{cert}", stdin=VALUE + "\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "set secret registry with cert, token\n"
    done = words(server, "configmap", "set", "app", "mode=fast")
    assert done.returncode == 0, done.stderr


# row: E229 E230
def test_a_step_sees_them_and_nothing_else_does(server, tmp_path):
    set_both(server, tmp_path)
    report = server.run(reader(**SETTINGS))
    assert report["state"] == "SUCCEEDED", report
    assert server.task(report, "read")["outputs"] == {
        "length": str(len(VALUE)), "lines": "2", "mode": "fast"}
    run_id = report["run_id"]
    shown = [words(server, "run", "show", run_id, "-o", "json").stdout,
             words(server, "run", "explain", run_id, "-o", "json").stdout,
             words(server, "secret", "list", "-o", "json").stdout,
             json.dumps(server.get(f"/apis/caudal/v1/runs/{run_id}/provenance")),
             json.dumps(server.get(f"/runs/{run_id}")), server.log_text()]
    for text in shown:
        assert VALUE not in text and "5d0a9e77" not in text
    # Nor is it in any file but the vault's own.
    holders = set()
    for path in server.data_dir.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if VALUE.encode() in content or b"5d0a9e77" in content:
                holders.add(path.relative_to(server.data_dir).parts[0])
    assert holders == {"secrets"}
    for path in (server.data_dir / "secrets").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_missing_one_fails_the_step_where_the_server_is_strict(fresh):
    server = fresh(isolation="sandbox", flags=["--require-secrets"]).start()
    report = server.run(reader(**SETTINGS))
    assert report["state"] == "FAILED"
    assert "registry" in server.task(report, "read")["error"]


def test_lists_and_deletes(server, tmp_path):
    set_both(server, tmp_path)
    listed = words(server, "secret", "list")
    assert "registry  cert, token" in listed.stdout
    maps = json.loads(words(server, "configmap", "list", "-o", "json").stdout)
    assert maps[0]["values"] == {"mode": "fast"}
    refused = words(server, "secret", "delete", "registry")
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert words(server, "secret", "delete", "registry", "--yes").returncode == 0
    assert words(server, "secret", "delete", "registry", "--yes").returncode == 2
    assert words(server, "secret", "list").stdout == ""


def test_no_error_quotes_a_value(server):
    for body in ({"values": {"token": VALUE + "!"}}, {"values": VALUE}, {"value": {"token": VALUE}},
                 {"values": {"token": [VALUE]}}, f'{{"values": {{"token": "{VALUE}"'):
        answer = server.call("POST", "/apis/caudal/v1/secrets/registry", body)
        assert answer.status_code == 400, answer.text
        assert VALUE not in answer.text
    for given in ([VALUE], [f"bad key={VALUE}"], [f"={VALUE}"]):
        done = words(server, "secret", "set", "registry", *given)
        assert done.returncode == 2 and VALUE not in done.stdout + done.stderr, done.stderr
    assert VALUE not in server.log_text()


def test_the_help_prefers_files(server):
    text = caudal("secret", "set", "--help").stdout
    assert "KEY=@FILE" in text and "list processes" in text
