"""The gRPC listener, as a client meets it that knows nothing but the address: everything is built from
what server reflection says."""

import contextlib
import json
import socket
import time

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.any_pb2 import Any
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)

from harness import FINAL, caudal, new_data_dir, wait_until
from ir import pipeline, shell, step

API = "kubeflow.pipelines.backend.api.v2beta1"


class Api:
    """Calls by name and JSON over one channel."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def call(self, method, fields=None, timeout=60, **options):
        """`method` as "RunService.GetRun"; the answer as a message."""
        service, name = method.rsplit(".", 1)
        service = service if "." in service else f"{API}.{service}"
        found = self.pool.FindServiceByName(service).methods_by_name[name]
        request = json_format.ParseDict(fields or {}, message_factory.GetMessageClass(
            found.input_type)(), descriptor_pool=self.pool)
        answer = message_factory.GetMessageClass(found.output_type)
        return self.channel.unary_unary(
            f"/{service}/{name}", request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString)(request, timeout=timeout, **options)

    def json(self, method, fields=None, **options):
        return json_format.MessageToDict(self.call(method, fields, **options),
                                         preserving_proto_field_name=True,
                                         descriptor_pool=self.pool)

    def error(self, method, fields=None):
        with pytest.raises(grpc.RpcError) as raised:
            self.call(method, fields)
        return raised.value


@pytest.fixture
def api(server):
    made = Api(server.ready["grpc"])
    yield made
    made.channel.close()


def hello(text="hi"):
    return pipeline("hello", {"say": step(shell(f"echo {text}"))})


def nap():
    return pipeline("nap", {"nap": step(shell("exec sleep 600"))})


def finished(api, run_id, timeout=60):
    def final():
        run = api.json("RunService.GetRun", {"run_id": run_id})
        return run if run["state"] in FINAL else None
    return wait_until(final, timeout, f"final state of {run_id}", every=0.05)


def test_reflection_lists_what_is_served(api):
    served = set(api.database.get_services())
    assert {f"{API}.ExperimentService", f"{API}.PipelineService", f"{API}.RunService",
            "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= served
    assert any(name.startswith("caudal.") for name in served)
    # Clients that import the original's generated code meet the same files.
    service = api.pool.FindServiceByName(f"{API}.RunService")
    assert service.file.name == "backend/api/v2beta1/run.proto"
    assert "GetRun" in service.methods_by_name


def test_a_run_from_creation_to_its_end(api, server, unique):
    made = api.json("RunService.CreateRun",
                    {"run": {"display_name": unique, "pipeline_spec": hello()}})
    assert made["display_name"] == unique and made["state"] == "PENDING"
    run = finished(api, made["run_id"])
    assert run["state"] == "SUCCEEDED"
    found = api.json("RunService.ListRuns", {"page_size": 1, "filter": json.dumps(
        {"predicates": [{"key": "name", "operation": "EQUALS", "string_value": unique}]})})
    assert [one["run_id"] for one in found["runs"]] == [made["run_id"]]
    assert found["total_size"] == 1
    provenance = api.json("caudal.v1.CaudalRunService.GetRunProvenance", {"run_id": made["run_id"]})
    assert provenance["origin"]["client"].startswith("grpc-python/")


def test_a_run_is_terminated(api, unique):
    made = api.json("RunService.CreateRun",
                    {"run": {"display_name": unique, "pipeline_spec": nap()}})
    wait_until(lambda: api.json("RunService.GetRun", {"run_id": made["run_id"]})["state"]
               == "RUNNING", 60, "running run")
    assert api.json("RunService.TerminateRun", {"run_id": made["run_id"]}) == {}
    assert finished(api, made["run_id"])["state"] == "FAILED"


def test_both_transports_say_the_same(api, server, unique):
    experiment = server.post("/experiments", {"display_name": unique})
    pipeline_id = server.post("/pipelines", {"name": unique, "tags": {"a": "b"}})["pipeline_id"]
    run_id = server.create_run(hello(), name=unique, experiment_id=experiment["experiment_id"])
    server.wait(run_id)
    ids = {"experiment_id": experiment["experiment_id"], "pipeline_id": pipeline_id,
           "run_id": run_id}
    for method, field, path in [
            ("ExperimentService.GetExperiment", "experiment_id", "/experiments/"),
            ("PipelineService.GetPipeline", "pipeline_id", "/pipelines/"),
            ("RunService.GetRun", "run_id", "/runs/")]:
        assert api.json(method, {field: ids[field]}) == server.get(path + ids[field])
    listed = {"experiment_id": ids["experiment_id"]}
    assert api.json("RunService.ListRuns", listed) == server.get("/runs", **listed)


@pytest.mark.parametrize("method, fields, code", [
    ("RunService.GetRun", {"run_id": "nosuch"}, grpc.StatusCode.NOT_FOUND),
    ("RunService.ListRuns", {"page_token": "x"}, grpc.StatusCode.INVALID_ARGUMENT),
    ("RunService.ListRuns", {"filter": "{"}, grpc.StatusCode.INVALID_ARGUMENT),
    ("PipelineService.GetPipelineByName", {"name": "nosuch"}, grpc.StatusCode.NOT_FOUND),
])
def test_errors_are_those_of_rest(api, server, method, fields, code):
    error = api.error(method, fields)
    assert error.code() == code
    path = {"GetRun": "/runs/nosuch", "GetPipelineByName": "/pipelines/names/nosuch"}.get(
        method.split(".")[1], "/runs")
    rest = server.call("GET", path, **({} if path != "/runs" else fields)).json()
    assert (rest["code"], rest["message"]) == (code.value[0], error.details())
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    # google.rpc.Status: code 1, message 2, details 3; read without its own generated code.
    status = message_factory.GetMessageClass(
        api.pool.FindMessageTypeByName("google.rpc.Status")).FromString(details)
    assert (status.code, status.message) == (rest["code"], rest["message"])
    inner = message_factory.GetMessageClass(
        api.pool.FindMessageTypeByName("google.rpc.Status"))()
    assert Any(type_url=status.details[0].type_url,
               value=status.details[0].value).Unpack(inner)
    assert (inner.code, inner.message) == (rest["code"], rest["message"])


def test_what_is_not_served_is_unimplemented(api):
    for method in (f"/{API}.RunService/ReadArtifact", "/api.RunService/GetRunV1"):
        with pytest.raises(grpc.RpcError) as raised:
            api.channel.unary_unary(method)(b"", timeout=10)
        assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_names_in_other_scripts_survive(api, unique):
    name = f"{unique} größe 日本"
    made = api.json("ExperimentService.CreateExperiment", {"experiment": {"display_name": name}})
    assert api.json("ExperimentService.GetExperiment",
                    {"experiment_id": made["experiment_id"]})["display_name"] == name


def test_health(api):
    stub = health_pb2_grpc.HealthStub(api.channel)
    for name in ("", f"{API}.RunService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as raised:
        stub.Check(health_pb2.HealthCheckRequest(service="nosuch"), timeout=10)
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


def test_what_is_no_grpc_harms_nobody(api, server):
    host, port = server.ready["grpc"].rsplit(":", 1)
    for sent in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 4096,
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4096):
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while raw.recv(4096):
                    pass
    assert api.json("ExperimentService.ListExperiments", {"page_size": 1})["experiments"]


def test_a_taken_port_fails_the_start(server):
    data_dir = new_data_dir()
    port = server.ready["grpc"].rsplit(":", 1)[1]
    done = caudal("server", "--data-dir", data_dir, "--http-port", "0", "--grpc-port", port,
                  "--isolation", "process", timeout=30)
    assert done.returncode == 3, done.stderr
    assert f"127.0.0.1:{port}" in done.stderr and "gRPC" in done.stderr


def test_a_stop_waits_for_nobody(fresh):
    """SIGTERM while a call waits for a change of a run that does not come."""
    server = fresh(isolation="process").start()
    api = Api(server.ready["grpc"])
    run_id = server.create_run(nap())
    wait_until(lambda: server.report(run_id)["state"] == "RUNNING", 30, "running run")
    found = api.pool.FindServiceByName("caudal.v1.CaudalRunService").methods_by_name["GetRunReport"]
    request = message_factory.GetMessageClass(found.input_type)(
        run_id=run_id, wait_millis=30_000, after_sequence=int(server.report(run_id)["sequence"]))
    waiting = api.channel.unary_unary("/caudal.v1.CaudalRunService/GetRunReport",
                                      request_serializer=type(request).SerializeToString)
    answer = waiting.future(request, timeout=60)
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 8
    answer.exception(timeout=10)  # an answer or an error, but no hanging client
    api.channel.close()
    # The step goes on without the server; the next one ends it.
    server.start()
    server.post(f"/runs/{run_id}:terminate")
    server.wait(run_id)
