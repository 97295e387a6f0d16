"""The unmodified kfp SDK against the real server."""

import json

import kfp_server_api
import pytest
from kfp import compiler, dsl

from harness import FINAL, wait_until
from ir import pipeline, shell, step


@dsl.component(base_image="python:3.11")
def make_list(count: int, words: dsl.Output[dsl.Dataset]) -> int:
    with open(words.path, "w") as file:
        file.write("\n".join(f"word{i}" for i in range(count)))
    words.metadata["count"] = count
    return count * 2


@dsl.component(base_image="python:3.11")
def shout(words: dsl.Input[dsl.Dataset], loud: dsl.Output[dsl.Artifact], mark: str = "!") -> str:
    with open(words.path) as file:
        lines = [line.strip().upper() + mark for line in file]
    with open(loud.path, "w") as file:
        file.write(" ".join(lines))
    return lines[-1]


@dsl.component(base_image="python:3.11")
def total(doubled: int, last: str, loud: dsl.Input[dsl.Artifact]) -> dict:
    with open(loud.path) as file:
        return {"doubled": doubled, "last": last, "length": len(file.read().split())}


@dsl.pipeline(name="sdk-three-steps")
def three_steps(count: int = 3) -> dict:
    made = make_list(count=count)
    shouted = shout(words=made.outputs["words"])
    return total(doubled=made.outputs["Output"], last=shouted.outputs["Output"],
                 loud=shouted.outputs["loud"]).output


@dsl.container_component
def nap_component(seconds: int):
    return dsl.ContainerSpec(image="alpine", command=["sh", "-c", "exec sleep $0"], args=[seconds])


@dsl.pipeline(name="sdk-nap")
def nap(seconds: int = 600):
    nap_component(seconds=seconds)


@dsl.container_component
def echo_component(text: str):
    return dsl.ContainerSpec(image="alpine", command=["echo"], args=[text])


@dsl.pipeline(name="sdk-echo")
def echo(text: str):
    echo_component(text=text)


@pytest.fixture
def client(server, client_of):
    return client_of(server)


@pytest.fixture
def package(tmp_path):
    path = str(tmp_path / "echo.yaml")
    compiler.Compiler().compile(echo, path)
    return path


def finished(client, run_id, timeout=120):
    return wait_until(lambda: (lambda run: run if run.state in FINAL else None)(client.get_run(run_id)),
                      timeout, f"final state of {run_id}", every=0.1)


def test_healthz(client):
    # row: A2
    answer = client.get_kfp_healthz()
    assert answer.multi_user is False and answer.pipeline_store == "database"


def test_run_from_function(server, client):
    # row: E36 E37 E190 E191 E192 E216 E219
    run = client.create_run_from_pipeline_func(three_steps, arguments={"count": 4})
    result = run.wait_for_run_completion(timeout=200)
    assert result.state == "SUCCEEDED", server.report(run.run_id)
    report = server.report(run.run_id)
    assert report["outputs"] == {"Output": {"doubled": 8, "last": "WORD3!", "length": 4}}
    words = server.task(report, "make-list")["artifacts"]["words"]["artifacts"][0]
    assert words["type"] == "system.Dataset" and words["metadata"]["count"] == 4
    assert open(words["path"]).read().startswith("word0\n")
    got = client.get_run(run.run_id)
    names = {d.display_name: d.state for d in got.run_details.task_details}
    assert {names[n] for n in ("make-list", "shout", "total")} == {"SUCCEEDED"}
    assert got.finished_at >= got.created_at


def test_run_from_package_and_wait(server, client, package):
    run = client.create_run_from_pipeline_package(package, {"text": "from package"},
                                                  run_name="packaged", experiment_name="packages",
                                                  enable_caching=False)
    result = client.wait_for_run_completion(run.run_id, timeout=60, sleep_duration=1)
    assert result.state == "SUCCEEDED" and result.display_name == "packaged"
    experiment = client.get_experiment(experiment_name="packages")
    assert result.experiment_id == experiment.experiment_id
    assert server.log_of(server.report(run.run_id), "echo-component") == "from package\n"


def test_pipelines_and_versions(client, package, unique):
    # row: A74 A102 A108 A109
    made = client.upload_pipeline(package, pipeline_name=unique, description="for a test")
    assert client.get_pipeline(made.pipeline_id).description == "for a test"
    assert client.get_pipeline_id(unique) == made.pipeline_id
    version = client.upload_pipeline_version(package, pipeline_version_name=f"{unique}-2",
                                             pipeline_id=made.pipeline_id, description="second")
    by_function = client.upload_pipeline_version_from_pipeline_func(
        nap, pipeline_version_name=f"{unique}-3", pipeline_name=unique)
    listed = client.list_pipeline_versions(made.pipeline_id, page_size=10, sort_by="name desc")
    assert [v.display_name for v in listed.pipeline_versions] == [
        f"{unique}-3", f"{unique}-2", unique]
    got = client.get_pipeline_version(made.pipeline_id, version.pipeline_version_id)
    assert got.pipeline_spec["pipelineInfo"]["name"] == "sdk-echo"
    assert unique in [p.display_name for p in client.list_pipelines(page_size=100).pipelines]

    run = client.run_pipeline(client.create_experiment(unique).experiment_id, "by version",
                              params={"text": "hi"}, pipeline_id=made.pipeline_id,
                              version_id=version.pipeline_version_id)
    assert finished(client, run.run_id).state == "SUCCEEDED"

    with pytest.raises(kfp_server_api.ApiException) as fault:
        client.delete_pipeline(made.pipeline_id)
    assert fault.value.status == 400
    for each in (version, by_function):
        client.delete_pipeline_version(made.pipeline_id, each.pipeline_version_id)
    first = client.list_pipeline_versions(made.pipeline_id).pipeline_versions[0]
    client.delete_pipeline_version(made.pipeline_id, first.pipeline_version_id)
    client.delete_pipeline(made.pipeline_id)
    assert client.get_pipeline_id(unique) is None


def test_upload_from_function(client, unique):
    made = client.upload_pipeline_from_pipeline_func(echo, pipeline_name=unique)
    assert client.get_pipeline(made.pipeline_id).display_name == unique


def test_experiments(client, unique):
    # row: A193-A195 A205
    made = client.create_experiment(unique, description="d")
    assert client.create_experiment(unique).experiment_id == made.experiment_id
    assert client.get_experiment(experiment_id=made.experiment_id).description == "d"
    assert unique in [e.display_name for e in client.list_experiments(page_size=100).experiments]
    client.archive_experiment(made.experiment_id)
    assert client.get_experiment(made.experiment_id).storage_state == "ARCHIVED"
    client.unarchive_experiment(made.experiment_id)
    assert client.get_experiment(made.experiment_id).storage_state == "AVAILABLE"
    client.delete_experiment(made.experiment_id)
    with pytest.raises(ValueError):
        client.get_experiment(experiment_name=unique)


def test_lists_of_runs(client, package, unique):
    # row: A224 A228 A243 A244 A246
    experiment = client.create_experiment(unique).experiment_id
    ids = [client.run_pipeline(experiment, f"run-{letter}", package, {"text": letter}).run_id
           for letter in "cab"]
    for run in ids:
        assert finished(client, run).state == "SUCCEEDED"
    by_name, token = [], ""
    while True:
        page = client.list_runs(experiment_id=experiment, page_size=2, sort_by="display_name",
                                page_token=token)
        by_name += [run.display_name for run in page.runs]
        assert page.total_size == 3
        token = page.next_page_token
        if not token:
            break
    assert by_name == ["run-a", "run-b", "run-c"]
    newest = client.list_runs(experiment_id=experiment, sort_by="created_at desc").runs[0]
    assert newest.run_id in ids
    text = json.dumps({"predicates": [{"operation": 9, "key": "display_name",
                                       "stringValue": "run-a"}]})
    assert [r.run_id for r in client.list_runs(experiment_id=experiment, filter=text).runs] == [ids[1]]


def test_terminate(client, package, unique):
    # row: A231 E163
    run = client.create_run_from_pipeline_func(nap, arguments={}, experiment_name=unique)
    wait_until(lambda: client.get_run(run.run_id).state == "RUNNING", 30, "running nap")
    client.terminate_run(run.run_id)
    result = client.wait_for_run_completion(run.run_id, timeout=60, sleep_duration=1)
    assert result.state == "FAILED" and result.error.message
    with pytest.raises(kfp_server_api.ApiException) as fault:
        client.terminate_run(run.run_id)
    assert fault.value.status == 400


def test_archive_and_delete(client, package, unique):
    # row: A218 A220 A232 A234
    run = client.create_run_from_pipeline_package(package, {"text": "x"}, experiment_name=unique)
    finished(client, run.run_id)
    client.archive_run(run.run_id)
    assert client.get_run(run.run_id).storage_state == "ARCHIVED"
    client.unarchive_run(run.run_id)
    assert client.get_run(run.run_id).storage_state == "AVAILABLE"
    client.delete_run(run.run_id)
    with pytest.raises(kfp_server_api.ApiException) as fault:
        client.get_run(run.run_id)
    assert fault.value.status == 404 and json.loads(fault.value.body)["code"] == 5


def test_errors(client, package, tmp_path):
    # row: A11 A28 A166 A251-A253
    cases = [
        ({}, "text"), ({"text": 5}, "text"), ({"text": "x", "other": "y"}, "other"),
    ]
    for arguments, named in cases:
        with pytest.raises(kfp_server_api.ApiException) as fault:
            client.create_run_from_pipeline_package(package, arguments)
        assert fault.value.status == 400
        body = json.loads(fault.value.body)
        assert body["code"] == 3 and named in body["message"]
    broken = tmp_path / "broken.yaml"
    spec = pipeline("broken", {"a": step(shell("exit 0"))})
    spec["components_1"] = spec.pop("components")
    broken.write_text(json.dumps(spec))
    with pytest.raises(kfp_server_api.ApiException) as fault:
        client.upload_pipeline(str(broken), pipeline_name="broken")
    assert fault.value.status == 400 and "components_1" in fault.value.body


def test_failure_is_told(server, client):
    # row: E150 E215
    @dsl.component(base_image="python:3.11")
    def boom(text: str):
        raise ValueError(f"cannot use {text}")

    @dsl.pipeline(name="sdk-boom")
    def failing():
        boom(text="n/a").after(echo_component(text="fine"))

    run = client.create_run_from_pipeline_func(failing, arguments={}, enable_caching=False)
    result = finished(client, run.run_id)
    assert result.state == "FAILED" and "boom" in result.error.message
    report = server.report(run.run_id)
    assert server.task(report, "echo-component")["state"] == "SUCCEEDED"
    assert "ValueError: cannot use n/a" in server.log_of(report, "boom")
