"""What a step can see and do, and what is left of it afterwards."""

import os
import pathlib
import pwd

import pytest
import yaml

from harness import ROOT, wait_until
from ir import param, pipeline, shell, step

FACTS = r"""
say() { printf '%s=%s\n' "$1" "$2"; }
say uid "$(id -u)"
say pid "$$"
say home "$HOME"
say home_writable "$(touch "$HOME/x" 2>/dev/null && echo yes || echo no)"
say host_home "$(ls -A "$0" 2>/dev/null | head -n 1)"
say data_dir "$(ls -A "$1" 2>/dev/null | tr '\n' ' ')"
say others "$(ls -A "$1/objects" "$1/logs" "$1/work" 2>/dev/null | head -n 1)"
say shadow "$(head -c 1 /etc/shadow 2>/dev/null | wc -c)"
say usr_writable "$(touch /usr/caudal-probe 2>/dev/null && echo yes || echo no)"
say root_writable "$(touch /caudal-probe 2>/dev/null && echo yes || echo no)"
say etc_writable "$(touch /etc/caudal-probe 2>/dev/null && echo yes || echo no)"
say tmp "$(touch /tmp/x && ls -A /tmp | tr '\n' ' ')"
say caps "$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)"
say nnp "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' /proc/self/status)"
say visible "$(ls /proc | grep -c '^[0-9]')"
say mount "$(mount -t tmpfs none /mnt 2>/dev/null && echo yes || echo no)"
say stdin "$(readlink /proc/self/fd/0)"
"""


def facts_of(server):
    home = pwd.getpwuid(os.getuid()).pw_dir
    spec = pipeline("facts", {"look": step(shell(FACTS, home, str(server.data_dir)))})
    report = server.run(spec)
    assert report["state"] == "SUCCEEDED", report
    facts = dict(line.split("=", 1) for line in server.log_of(report, "look").splitlines())
    return facts, server.task(report, "look").get("notes", [])


def test_view(server):
    if server.isolation != "sandbox":
        pytest.skip("process isolation hides nothing, and says so")
    facts, notes = facts_of(server)
    assert facts["host_home"] == "", "the user's home is visible"
    # Python environments keep their paths; nothing else of the data directory is there.
    assert set(facts["data_dir"].split()) <= {"envs"}, "the data directory is visible"
    assert facts["others"] == ""
    assert facts["shadow"] == "0", "/etc/shadow is readable"
    assert facts["usr_writable"] == facts["root_writable"] == facts["etc_writable"] == "no"
    assert facts["home_writable"] == "yes"
    assert int(facts["caps"], 16) == 0 and facts["nnp"] == "1" and facts["mount"] == "no"
    assert facts["pid"] != "1"
    if not any("processes of the host" in note for note in notes):  # said where /proc is shared
        assert int(facts["visible"]) < 12, "host processes are visible"
    assert "x " in facts["tmp"] and facts["stdin"] == "/dev/null"
    if os.getuid() == 0:
        assert facts["uid"] != "0", "the step is root"


def test_process_view(server):
    """What holds in every isolation."""
    facts, _ = facts_of(server)
    assert facts["home_writable"] == "yes"
    assert facts["home"] not in (pwd.getpwuid(os.getuid()).pw_dir, "")
    assert facts["stdin"] == "/dev/null"


def test_isolation_is_recorded(server):
    report = server.run(pipeline("plain", {"one": step(shell("exit 0"))}))
    assert server.task(report, "one")["isolation"] == server.isolation


def test_private_tmp(server, shared_dir, unique):
    """Two steps at once use the same name in /tmp and do not meet."""
    if server.isolation != "sandbox":
        pytest.skip("process isolation shares /tmp")
    meet = shared_dir / unique
    meet.mkdir()
    meet.chmod(0o777)
    script = ('echo "$1" > /tmp/same; touch "$0/$1"; '
              'while [ ! -e "$0/a" ] || [ ! -e "$0/b" ]; do sleep 0.02; done; cat /tmp/same')
    spec = pipeline("same-name", {name: step(shell(script, param("meet"), name),
                                             params={"meet": str(meet)}) for name in "ab"})
    report = server.run(spec)
    assert report["state"] == "SUCCEEDED"
    assert [server.log_of(report, name) for name in "ab"] == ["a\n", "b\n"]


def alive(word):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if word.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


@pytest.mark.parametrize("way", ["nohup sleep {} &", "setsid sleep {} &",
                                 "(setsid sh -c 'setsid sleep {} & exit 0' &) ; sleep 0.2"])
def test_stragglers_die_with_their_step(server, way, unique):
    # row: E215
    seconds = f"98{int(unique[2:9], 16) % 10_000_000:07d}"
    spec = pipeline("stragglers", {"fork": step(shell(way.format(seconds) + "\nexit 0"))})
    report = server.run(spec)
    assert report["state"] == "SUCCEEDED"
    wait_until(lambda: not alive(seconds), 10, f"end of straggler {seconds}: {alive(seconds)}")


def test_terminate_kills_the_tree(server, unique):
    # row: E163
    seconds = f"97{int(unique[2:9], 16) % 10_000_000:07d}"
    script = f"trap '' TERM; setsid sh -c \"trap '' TERM; sleep {seconds}\" & sleep {seconds}"
    run = server.create_run(pipeline("tree", {"nap": step(shell(script))}))
    wait_until(lambda: len(alive(seconds)) >= 2, 30, "running tree")
    server.call("POST", f"/apis/caudal/v1/runs/{run}:cancel", {"now": True})
    assert server.wait(run, timeout=30)["state"] == "FAILED"
    wait_until(lambda: not alive(seconds), 10, f"end of the tree: {alive(seconds)}")


def test_fixed_kfp_paths_exist(server):
    """Steps that name the launcher's usual mounts find them writable."""
    if server.isolation != "sandbox":
        pytest.skip("fixed paths exist in a sandbox only")
    script = "mkdir -p /tmp/kfp && echo ok > /tmp/kfp/x && cat /tmp/kfp/x"
    report = server.run(pipeline("paths", {"one": step(shell(script))}))
    assert server.log_of(report, "one") == "ok\n"


def test_directory_artifact_is_read_only_for_its_reader(server):
    # row: E205 E212
    from ir import artifact_path, input_path, output
    spec = pipeline("folders", {
        "make": step(shell('mkdir -p "$0/deep" && echo one > "$0/deep/file"', artifact_path("tree")),
                     out_artifacts={"tree": "system.Dataset"}),
        "use": step(shell('cat "$0/deep/file"; echo two >> "$0/deep/file" && echo wrote || true; exit 0',
                          input_path("tree")),
                    artifacts={"tree": output("make", "tree")}),
        "again": step(shell('cat "$0/deep/file"', input_path("tree")),
                      artifacts={"tree": output("make", "tree")}, after=["use"])})
    report = server.run(spec)
    assert report["state"] == "SUCCEEDED", report
    assert server.log_of(report, "again") == "one\n", "a reader changed what it was given"
    if server.isolation == "sandbox":
        assert "wrote" not in server.log_of(report, "use")


@pytest.mark.parametrize("first, second", [("process", "sandbox"), ("sandbox", "process")])
def test_environment_serves_both_isolations(fresh, first, second):
    """An environment that was built under one isolation is complete and readable under the other."""
    text = (ROOT / "examples" / "quickstart" / "fit_line.yaml").read_text()
    server = fresh(isolation=first, flags=["--no-cache"]).start()
    for isolation in (first, second):
        server.stop()
        server.isolation = isolation
        server.start()
        report = server.run(yaml.safe_load(text), timeout=120)
        log = server.log_of(report, "make-points")
        assert report["state"] == "SUCCEEDED", f"{isolation} after {first}: {log}"
