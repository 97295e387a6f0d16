"""Packages in every form users have them: files of the SDK, archives, Kubernetes documents."""

import json
import pathlib
import subprocess
import sys
import tarfile
import zipfile

import pytest
import requests
from kfp import compiler, dsl
from kfp.compiler.compiler_utils import KubernetesManifestOptions

from harness import caudal, new_data_dir, report_of


@dsl.container_component
def greet(name: str):
    return dsl.ContainerSpec(image="alpine", command=["echo"], args=["hello", name])


@dsl.pipeline(name="greeting", description="says hello")
def greeting(name: str = "you"):
    greet(name=name)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The same pipeline in every form, by ending."""
    folder = tmp_path_factory.mktemp("packages")
    made = {ending: str(folder / f"greeting.{ending}")
            for ending in ("yaml", "json", "zip", "tar.gz", "manifest.yaml")}
    compiler.Compiler().compile(greeting, made["yaml"])
    compiler.Compiler().compile(greeting, made["json"])
    compiler.Compiler().compile(
        greeting, made["manifest.yaml"], kubernetes_manifest_format=True,
        kubernetes_manifest_options=KubernetesManifestOptions(
            pipeline_display_name="A Greeting", pipeline_version_name="v1",
            include_pipeline_manifest=True))
    with zipfile.ZipFile(made["zip"], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.md", "not this")
        archive.write(made["yaml"], "pipeline.yaml")
    with tarfile.open(made["tar.gz"], "w:gz") as archive:
        archive.add(made["yaml"], "greeting.yaml")
    return made


def spec_of(server, pipeline_id):
    versions = server.get(f"/pipelines/{pipeline_id}/versions")["pipeline_versions"]
    assert len(versions) == 1
    return versions[0]["pipeline_spec"]


@pytest.mark.parametrize("ending", ["yaml", "json", "zip", "tar.gz"])
def test_the_sdk_uploads(server, client_of, packages, unique, ending):
    client = client_of(server)
    made = client.upload_pipeline(packages[ending], pipeline_name=unique)
    want = json.load(open(packages["json"]))
    assert spec_of(server, made.pipeline_id) == want
    version = client.upload_pipeline_version(packages[ending], unique + "-2",
                                             pipeline_id=made.pipeline_id)
    assert version.pipeline_spec == want


@pytest.mark.parametrize("ending", ["yaml", "zip", "tar.gz"])
def test_the_sdks_command_line_uploads(server, packages, unique, ending, tmp_path):
    done = subprocess.run(
        [pathlib.Path(sys.executable).with_name("kfp"), "--endpoint", server.url, "--output", "json", "pipeline",
         "create", "--pipeline-name", unique, packages[ending]],
        capture_output=True, text=True, timeout=60, env={"HOME": str(tmp_path), "PATH": "/usr/bin"})
    assert done.returncode == 0, done.stderr
    found = server.get(f"/pipelines/names/{unique}")
    assert spec_of(server, found["pipeline_id"]) == json.load(open(packages["json"]))


def test_kubernetes_documents_name_the_pipeline(server, packages, unique):
    text = open(packages["manifest.yaml"]).read().replace("greeting", unique)
    answer = requests.post(f"{server.url}/apis/v2beta1/pipelines/upload",
                           files={"uploadfile": ("any.yaml", text)}, timeout=60)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["name"], made["display_name"], made["description"]) == (
        unique, "A Greeting", "says hello")
    version = server.get(f"/pipelines/{made['pipeline_id']}/versions")["pipeline_versions"][0]
    assert version["name"] == version["display_name"] == "v1"
    assert version["pipeline_spec"]["pipelineInfo"]["name"] == unique


@pytest.mark.parametrize("ending", ["yaml", "json", "zip", "tar.gz", "manifest.yaml"])
def test_every_form_runs(packages, ending):
    data_dir = new_data_dir()
    try:
        done = caudal("run", packages[ending], "--data-dir", data_dir, "--foreground", "--json",
                      "--isolation", "process", "-p", "name=all")
        assert done.returncode == 0, done.stderr
        assert report_of(done)["state"] == "SUCCEEDED"
    finally:
        caudal("server", "stop", "--data-dir", data_dir)


def test_an_archive_without_a_pipeline_says_so(tmp_path):
    path = tmp_path / "wrong.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "x")
    done = caudal("run", path, "--data-dir", new_data_dir())
    assert done.returncode == 2
    assert "no pipeline.yaml" in done.stderr and "'notes.txt'" in done.stderr
