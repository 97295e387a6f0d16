"""One pipeline as old and new releases of the SDK compile it (pipelines/sdk_versions): each runs
unchanged, on the very kfp it pins, without compiling anything here."""

import json
import pathlib

import pytest
import yaml

PACKAGES = sorted((pathlib.Path(__file__).parent / "pipelines" / "sdk_versions").glob("*.yaml"))
VERSIONS = [package.stem for package in PACKAGES]


def test_there_are_old_and_new_releases():
    assert {"2.0.0-beta.16", "2.1.3", "2.9.0", "2.17.3"} <= set(VERSIONS)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("package", PACKAGES, ids=VERSIONS)
def test_runs_unchanged(server, package):
    spec = yaml.safe_load(package.read_text())
    assert spec["sdkVersion"] == f"kfp-{package.stem}"
    for task in spec["root"]["dag"]["tasks"].values():
        task["cachingOptions"] = {}  # each isolation is to run it
    report = server.run(spec, {"rows": 4}, timeout=500)
    failed = [(task["path"], server.log_of(report, task["path"])[-2000:], task.get("error"))
              for task in report["tasks"] if task["path"] and task["state"] == "FAILED"]
    assert report["state"] == "SUCCEEDED", failed
    made, trained, judged = (server.task(report, name) for name in ("make", "train", "judge"))
    assert made["outputs"] == {"total": 4, "label": "hi-v-True"}
    assert trained["outputs"]["Output"] == "data 4 minio"
    assert judged["outputs"]["Output"] is True
    (model,) = trained["artifacts"]["model"]["artifacts"]
    assert model["metadata"]["framework"] == "six 1.16.0"
    assert pathlib.Path(model["path"]).read_text() == "hi-v-True:3.0"

    used = server.get(f"/apis/caudal/v1/runs/{report['run_id']}/provenance")["environments"]
    # Releases before 2.2 install user packages and kfp in one call; all pin what compiled them.
    pin = "kfp==" + package.stem.replace("-beta.", "b")
    assert len(used) == 2 and all(pin in json.dumps(environment["lock"]) for environment in used)
