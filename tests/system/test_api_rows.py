"""REST as upstream's own API tests expect it: rows of the API checklist, over plain HTTP.

One server for the module; every test names its objects uniquely, so order does not matter.
"""

import io
import json
import tarfile
import threading
import time
import uuid
import zipfile

import pytest
import yaml

from harness import Server, caudal, wait_until
from ir import given, pipeline, param, shell, step

NIL = "00000000-0000-0000-0000-000000000000"
ODD = "invalid-id-%21%40%23%24%25"


@pytest.fixture(scope="module")
def api():
    server = Server().start()
    yield server
    server.close()


HELLO = pipeline("hello-rows", {"greet": step(shell("echo hi"))})
NAMED = pipeline("named-rows", {"greet": step(shell("echo $0", param("who")),
                                              params={"who": given("who")})},
                 inputs={"who": "STRING", "times": ("NUMBER_INTEGER", 1)})
SLEEPY = pipeline("sleepy-rows", {"nap": step(shell("exec sleep 600"))})


def text_of(spec):
    return yaml.safe_dump(spec)


def new_name(prefix="row"):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def upload(api, spec=HELLO, file_name="hello.yaml", version=False, **query):
    """One multipart upload; `spec` may be an IR, or bytes of a file."""
    import requests
    content = spec if isinstance(spec, bytes) else text_of(spec).encode()
    path = "upload_version" if version else "upload"
    return requests.post(f"{api.url}/apis/v2beta1/pipelines/{path}", params=query, timeout=60,
                         files={"uploadfile": (file_name, content)})


def uploaded(api, **query):
    answer = upload(api, **{"name": new_name(), **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def add_version(api, pipeline_id, spec=HELLO, **query):
    answer = upload(api, spec, version=True, **{"name": new_name("v"), "pipelineid": pipeline_id,
                                               **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer, status, code):
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.json()["code"] == code, answer.text
    return answer.json()


def predicates(*items):
    return json.dumps({"predicates": [
        {"operation": operation, "key": key, **value} for operation, key, value in items]})


def equals(key, value):
    return predicates(("EQUALS", key, {"string_value": value}))


def pages(api, path, field, **query):
    """All pages as lists of items, following tokens."""
    found, token = [], ""
    while True:
        answer = api.get(path, **query, **({"page_token": token} if token else {}))
        found.append(answer.get(field, []))
        token = answer.get("next_page_token", "")
        if not token:
            return found
        assert len(found) < 100, "paging does not end"


class TestGateway:
    def test_healthz(self, api):
        # row: A1 A2 A3
        answer = api.get("/healthz")
        assert answer["multi_user"] is False
        assert answer["pipeline_store"] == "database"

    def test_unknown_path(self, api):
        # row: A4
        refused(api.call("GET", "/nosuch"), 404, 5)

    def test_wrong_method(self, api):
        # row: A5
        refused(api.call("PUT", "/experiments"), 501, 12)

    def test_malformed_body(self, api):
        # row: A6
        import requests
        answer = requests.post(f"{api.url}/apis/v2beta1/experiments", data="{oops", timeout=10)
        refused(answer, 400, 3)

    def test_unknown_member(self, api):
        # row: A7
        refused(api.call("POST", "/experiments", {"display_name": new_name(), "nosuch": 1}), 400, 3)

    def test_camel_case_members(self, api):
        # row: A8
        name = new_name()
        assert api.post("/experiments", {"displayName": name})["display_name"] == name

    def test_unknown_query_key(self, api):
        # row: A9
        api.get("/runs", nosuch=1)

    def test_page_size_no_number(self, api):
        # row: A10
        refused(api.call("GET", "/runs", page_size="abc"), 400, 3)

    def test_shape_of_errors(self, api):
        # row: A11
        body = refused(api.call("GET", f"/runs/{NIL}"), 404, 5)
        assert NIL in body["message"]
        assert body["details"][0]["@type"] == "type.googleapis.com/google.rpc.Status"

    def test_empty_lists_have_no_members(self, fresh):
        # row: A12 A187
        empty = fresh().start()
        assert empty.get("/pipelines") == {}
        assert empty.get("/runs") == {}
        experiments = empty.get("/experiments")
        assert [e["display_name"] for e in experiments["experiments"]] == ["Default"]
        assert experiments["total_size"] == 1


class TestPipelineLists:
    @pytest.fixture(scope="class")
    def three(self, api):
        made = [uploaded(api, name=new_name(f"apitest-{letter}"), display_name=f"{letter} shown",
                         description=new_name("about"), tags=json.dumps({"team": f"team-{letter}"}))
                for letter in ("a", "m", "z")]
        return made

    def test_all_are_listed(self, api, three):
        # row: A13-A15 A49
        answer = api.get("/pipelines", page_size=100, namespace="kubeflow")
        ids = [p["pipeline_id"] for p in answer["pipelines"]]
        assert {p["pipeline_id"] for p in three} <= set(ids)
        assert answer["total_size"] == len(ids)
        assert all(p["created_at"] for p in answer["pipelines"])

    def test_paging(self, api, three):
        # row: A17 A18
        first = api.get("/pipelines", page_size=1)
        assert len(first["pipelines"]) == 1 and first["total_size"] >= 3
        assert first["next_page_token"]
        found = pages(api, "/pipelines", "pipelines", page_size=2)
        ids = [p["pipeline_id"] for page in found for p in page]
        assert len(found) >= 2 and len(ids) == len(set(ids)) >= 3

    @pytest.mark.parametrize("key", ["name", "display_name", "created_at", "pipeline_id", "id"])
    @pytest.mark.parametrize("direction", ["asc", "desc"])
    def test_sorting(self, api, three, key, direction):
        # row: A19-A24 A26-A29
        found = pages(api, "/pipelines", "pipelines", page_size=2, sort_by=f"{key} {direction}")
        field = "pipeline_id" if key == "id" else key
        values = [p[field] for page in found for p in page]
        assert values == sorted(values, reverse=direction == "desc")

    def test_second_page_with_sort_resent(self, api, three):
        # row: A27
        first = api.get("/pipelines", page_size=1, sort_by="name")
        second = api.get("/pipelines", page_size=200, sort_by="name",
                         page_token=first["next_page_token"])
        assert len(second["pipelines"]) == first["total_size"] - 1

    @pytest.mark.parametrize("query", [
        {"sort_by": "unknownfield"}, {"sort_by": "name sideways"}, {"sort_by": "name asc asc"},
        {"page_size": -1}, {"page_token": "garbage"}, {"filter": "{oops"},
        {"filter": '{"nosuch": []}'}, {"filter": equals("nosuch", "x")},
        {"filter": predicates(("IN", "pipeline_id", {"string_value": "x"}))},
        {"filter": predicates(("NOT_EQUALS", "tags.team", {"string_value": "x"}))},
        {"filter": predicates(("OPERATION_UNSPECIFIED", "name", {"string_value": "x"}))},
        {"filter": '{"predicates":[{"operation":"EQUALS","key":"name"}]}'},
        {"filter": equals("", "x")},
    ], ids=str)
    def test_wrong_queries(self, api, three, query):
        # row: A25 A39 A46 A50 A52 A54
        refused(api.call("GET", "/pipelines", **query), 400, 3)

    def test_token_with_other_sort(self, api, three):
        # row: A53
        token = api.get("/pipelines", page_size=1, sort_by="name")["next_page_token"]
        refused(api.call("GET", "/pipelines", page_token=token, sort_by="created_at"), 400, 3)
        refused(api.call("GET", "/pipelines", page_token=token, sort_by="name",
                         filter=equals("name", "x")), 400, 3)

    def test_large_page_size_is_capped(self, api, three):
        # row: A51
        assert len(api.get("/pipelines", page_size=1000)["pipelines"]) <= 200

    @pytest.mark.parametrize("key", ["pipeline_id", "name", "description", "tags.team"])
    def test_equals(self, api, three, key):
        # row: A30 A31 A37 A43
        wanted = three[1]
        value = wanted["tags"]["team"] if key == "tags.team" else wanted[key]
        answer = api.get("/pipelines", filter=equals(key, value))
        assert wanted["pipeline_id"] in [p["pipeline_id"] for p in answer["pipelines"]]
        if key in ("pipeline_id", "description"):
            assert answer["total_size"] == 1

    @pytest.mark.parametrize("key, value", [
        ("name", "no such name"), ("name", ""), ("pipeline_id", NIL),
        ("pipeline_id", "a!@#$^&*"), ("tags.nonexistent", "x"), ("tags.team", "other")])
    def test_no_match(self, api, three, key, value):
        # row: A32-A35 A45 A47
        assert api.get("/pipelines", filter=equals(key, value)) == {}

    def test_other_operations(self, api, three):
        # row: A36 A38 A40-A42
        ids = [p["pipeline_id"] for p in three]
        found = api.get("/pipelines", filter=predicates(
            (8, "pipeline_id", {"stringValues": {"values": ids[:1]}})))
        assert [p["pipeline_id"] for p in found["pipelines"]] == ids[:1]
        found = api.get("/pipelines", page_size=200, filter=predicates(
            ("NOT_EQUALS", "name", {"string_value": three[0]["name"]})))
        assert ids[0] not in [p["pipeline_id"] for p in found["pipelines"]]
        found = api.get("/pipelines", sort_by="name asc", filter=predicates(
            ("IS_SUBSTRING", "name", {"string_value": "apitest"})))
        names = [p["name"] for p in found["pipelines"]]
        assert names == sorted(names) and {p["name"] for p in three} <= set(names)
        api.get("/pipelines", sort_by="created_at desc", filter=predicates(
            ("GREATER_THAN", "created_at", {"string_value": "2000-01-01T00:00:00Z"})))

    def test_two_tags_and_deleted(self, api):
        # row: A44 A48
        made = uploaded(api, tags='{"one": "1", "two": "2"}')
        both = predicates(("EQUALS", "tags.one", {"string_value": "1"}),
                          ("EQUALS", "tags.two", {"string_value": "2"}))
        assert api.get("/pipelines", filter=both)["total_size"] == 1
        api.call("DELETE", f"/pipelines/{made['pipeline_id']}", cascade="true")
        assert api.get("/pipelines", filter=both) == {}


class TestPipelines:
    def test_create_and_get(self, api):
        # row: A55 A56 A61 A62 A73-A75
        body = {"name": new_name(), "display_name": "Shown Name", "description": "what for",
                "tags": {"team": "ml", "empty": ""}}
        made = api.post("/pipelines", body)
        assert made["pipeline_id"]
        assert {k: made[k] for k in body} == body
        assert api.get(f"/pipelines/{made['pipeline_id']}") == made

    def test_without_tags(self, api):
        # row: A63 A64 A76
        for body in ({"name": new_name()}, {"name": new_name(), "tags": {}}):
            made = api.post("/pipelines", body)
            assert "tags" not in made
            assert "tags" not in api.get(f"/pipelines/{made['pipeline_id']}")

    @pytest.mark.parametrize("name", ["l" * 88, "with-ascii-!@#$%", "流水线-名字"])
    def test_names(self, api, name):
        # row: A57-A59
        name = f"{name}-{uuid.uuid4().hex[:8]}"
        assert api.post("/pipelines", {"name": name})["name"] == name

    def test_long_name(self, api):
        # row: A60
        assert api.call("POST", "/pipelines", {"name": "n" * 500}).status_code in (400, 500)

    @pytest.mark.parametrize("tags", [
        {"k" * 64: "v"}, {"k": "v" * 64}, {"": "v"}, {"a.b": "v"}, {f"k{i}": "v" for i in range(21)},
    ], ids=["key of 64", "value of 64", "empty key", "dotted key", "21 tags"])
    def test_bad_tags(self, api, tags):
        # row: A65-A69
        refused(api.call("POST", "/pipelines", {"name": new_name(), "tags": tags}), 400, 3)

    def test_name_rules(self, api):
        # row: A70-A72
        name = new_name()
        assert api.post("/pipelines", {"display_name": name})["name"] == name
        refused(api.call("POST", "/pipelines", {"name": name}), 409, 6)
        refused(api.call("POST", "/pipelines", {"description": "nameless"}), 400, 3)

    def test_unknown(self, api):
        # row: A77 A78 A82 A104 A105
        refused(api.call("GET", f"/pipelines/{NIL}"), 404, 5)
        refused(api.call("GET", f"/pipelines/{ODD}"), 404, 5)
        refused(api.call("GET", f"/pipelines/names/{new_name()}"), 404, 5)
        refused(api.call("DELETE", f"/pipelines/{NIL}"), 404, 5)
        refused(api.call("DELETE", f"/pipelines/{ODD}"), 404, 5)

    def test_by_name(self, api):
        # row: A80 A81
        made = uploaded(api, tags='{"a": "b"}')
        found = api.get(f"/pipelines/names/{made['name']}", namespace="kubeflow")
        assert found["pipeline_id"] == made["pipeline_id"]
        assert found["tags"] == {"a": "b"}

    def test_delete(self, api):
        # row: A79 A100-A103 A106
        bare = api.post("/pipelines", {"name": new_name()})["pipeline_id"]
        assert api.call("DELETE", f"/pipelines/{bare}", cascade="false").status_code == 200
        refused(api.call("GET", f"/pipelines/{bare}"), 404, 5)
        full = uploaded(api, tags='{"a": "b"}')["pipeline_id"]
        refused(api.call("DELETE", f"/pipelines/{full}"), 400, 3)
        assert api.call("DELETE", f"/pipelines/{full}", cascade="true").status_code == 200
        refused(api.call("GET", f"/pipelines/{full}"), 404, 5)


class TestVersions:
    def test_lists(self, api):
        # row: A107-A110 A149 A159
        bare = api.post("/pipelines", {"name": new_name()})["pipeline_id"]
        assert api.get(f"/pipelines/{bare}/versions") == {}
        one, other = uploaded(api)["pipeline_id"], uploaded(api)["pipeline_id"]
        assert api.get(f"/pipelines/{one}/versions")["total_size"] == 1
        added = [add_version(api, one)["pipeline_version_id"] for _ in range(3)]
        answer = api.get(f"/pipelines/{one}/versions")
        assert answer["total_size"] == 4
        assert set(added) <= {v["pipeline_version_id"] for v in answer["pipeline_versions"]}
        assert {v["pipeline_id"] for v in answer["pipeline_versions"]} == {one}
        assert api.get(f"/pipelines/{other}/versions")["total_size"] == 1
        refused(api.call("GET", f"/pipelines/{NIL}/versions"), 404, 5)

    @pytest.fixture(scope="class")
    def owner(self, api):
        made = uploaded(api, name=new_name("v-m"))["pipeline_id"]
        add_version(api, made, name=new_name("v-a"), display_name="alpha", description="first one",
                    tags='{"env": "prod", "tier": "1"}')
        add_version(api, made, name=new_name("v-z"), display_name="zulu")
        return made

    def test_paging_and_sorting(self, api, owner):
        # row: A111-A115 A117-A119
        path = f"/pipelines/{owner}/versions"
        first = api.get(path, page_size=1)
        assert len(first["pipeline_versions"]) == 1 and first["total_size"] == 3
        for key in ("name", "display_name", "created_at"):
            for direction in ("asc", "desc"):
                found = pages(api, path, "pipeline_versions", page_size=2,
                              sort_by=f"{key} {direction}")
                values = [v[key] for page in found for v in page]
                assert [len(page) for page in found] == [2, 1]
                assert values == sorted(values, reverse=direction == "desc")

    def test_filters(self, api, owner):
        # row: A116 A120-A136
        path = f"/pipelines/{owner}/versions"
        versions = api.get(path)["pipeline_versions"]
        tagged = next(v for v in versions if v.get("tags"))
        assert tagged["tags"] == {"env": "prod", "tier": "1"}
        assert sum("tags" not in v for v in versions) == 2

        def names(filter_text, **query):
            return [v["name"] for v in
                    api.get(path, filter=filter_text, **query).get("pipeline_versions", [])]

        assert names(equals("pipeline_version_id", tagged["pipeline_version_id"])) == [tagged["name"]]
        assert names(equals("name", tagged["name"])) == [tagged["name"]]
        assert names(equals("description", "first one")) == [tagged["name"]]
        assert names(equals("tags.env", "prod")) == [tagged["name"]]
        assert names(predicates(("EQUALS", "tags.env", {"string_value": "prod"}),
                                ("EQUALS", "tags.tier", {"string_value": "1"}))) == [tagged["name"]]
        assert names(predicates(("EQUALS", "tags.env", {"string_value": "prod"}),
                                ("EQUALS", "name", {"string_value": tagged["name"]})))
        assert names(equals("tags.env", "test")) == names(equals("tags.nosuch", "x")) == []
        assert tagged["name"] not in names(
            predicates(("NOT_EQUALS", "name", {"string_value": tagged["name"]})))
        assert names(predicates(("IN", "pipeline_version_id", {
            "stringValues": {"values": [tagged["pipeline_version_id"]]}}))) == [tagged["name"]]
        by_part = names(predicates(("IS_SUBSTRING", "name", {"string_value": "v-"})),
                        sort_by="name asc")
        assert by_part == sorted(by_part) and len(by_part) == 3
        api.get(path, sort_by="created_at desc", filter=predicates(
            ("GREATER_THAN", "created_at", {"string_value": "2000-01-01T00:00:00Z"})))
        for wrong in ({"sort_by": "unknownfield"},
                      {"filter": predicates(("IN", "pipeline_version_id", {"string_value": "x"}))},
                      {"filter": predicates(("NOT_EQUALS", "tags.env", {"string_value": "x"}))}):
            refused(api.call("GET", path, **wrong), 400, 3)

    def test_get(self, api, owner):
        # row: A137-A142
        version = api.get(f"/pipelines/{owner}/versions")["pipeline_versions"][0]
        vid = version["pipeline_version_id"]
        assert api.get(f"/pipelines/{owner}/versions/{vid}") == version
        other = uploaded(api)["pipeline_id"]
        assert api.get(f"/pipelines/{other}/versions/{vid}")["pipeline_id"] == owner
        refused(api.call("GET", f"/pipelines/{owner}/versions/{NIL}"), 404, 5)
        refused(api.call("GET", f"/pipelines/{owner}/versions/{ODD}"), 404, 5)

    def test_delete(self, api):
        # row: A155-A158
        owner, other = uploaded(api)["pipeline_id"], uploaded(api)["pipeline_id"]
        only = api.get(f"/pipelines/{owner}/versions")["pipeline_versions"][0]["pipeline_version_id"]
        assert api.call("DELETE", f"/pipelines/{other}/versions/{only}").status_code == 200
        assert api.get(f"/pipelines/{owner}/versions") == {}
        refused(api.call("GET", f"/pipelines/{owner}/versions/{only}"), 404, 5)
        refused(api.call("DELETE", f"/pipelines/{owner}/versions/{NIL}"), 404, 5)
        refused(api.call("DELETE", f"/pipelines/{owner}/versions/{ODD}"), 404, 5)


def zipped(*entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(*entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


class TestUpload:
    def test_fields(self, api):
        # row: A160-A165 A169 A170
        name = new_name()
        made = uploaded(api, name=name, display_name="Shown ", description="why",
                        tags='{"a": "b"}')
        assert (made["name"], made["display_name"], made["description"]) == (name, "Shown ", "why")
        assert made["tags"] == {"a": "b"}
        assert api.get(f"/pipelines/{made['pipeline_id']}") == made
        version = api.get(f"/pipelines/{made['pipeline_id']}/versions")["pipeline_versions"][0]
        assert version["pipeline_spec"] == HELLO
        assert (version["name"], version["display_name"]) == (name, "Shown ")
        plain = uploaded(api, name=new_name(), tags="{}")
        assert plain["display_name"] == plain["name"] and "tags" not in plain

    def test_name_is_file_name(self, api):
        # row: A171 A183
        file_name = new_name() + ".yaml"
        made = upload(api, file_name=file_name).json()
        assert (made["name"], made["display_name"]) == (file_name, file_name)
        answer = upload(api, file_name=new_name() + ".yaml", version=True,
                        pipelineid=made["pipeline_id"])
        assert answer.status_code == 200, answer.text
        again = upload(api, file_name=answer.json()["name"], version=True,
                       pipelineid=made["pipeline_id"])
        assert again.status_code == 409

    @pytest.mark.parametrize("content, file_name", [
        (b"", "empty.yaml"), (zipped(), "empty.zip"), (b"PK\x03\x04 nonsense", "invalid.zip"),
        (b"a: [b", "invalid.yaml"), (b"\x89PNG\r\n\x1a\n", "wrong.png"),
        (text_of({**HELLO, "pipelineInfo": {}}).encode(), "no_name.yaml"),
        (text_of({**HELLO, "components_1": {}}).encode(), "unknown_field.yaml"),
        (text_of({**HELLO, "schemaVersion": "2.0.0"}).encode(), "schema.yaml"),
        (text_of({**HELLO, "pipelineInfo": {"name": "Upper.Case"}}).encode(), "pattern.yaml"),
        (zipped(("readme.txt", "hi")), "text.zip"),
        (text_of(HELLO).encode() + b"---\n" + text_of(HELLO).encode(), "two.yaml"),
        (b"# only\n# comments\n", "comments.yaml"),
    ], ids=lambda value: value if isinstance(value, str) else "")
    def test_refused_files(self, api, content, file_name):
        # row: A166 E8-E13 E16 E7
        name = new_name()
        answer = upload(api, content, file_name, name=name)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error_message"]
        assert api.get("/pipelines", filter=equals("name", name)) == {}

    def test_unknown_field_is_named(self, api):
        # row: E16
        broken = json.loads(json.dumps(HELLO))
        broken["root"]["dag"]["tasks"]["greet"]["dependentTask"] = []
        answer = upload(api, broken, name=new_name())
        assert answer.status_code == 400
        assert "dependentTask" in answer.text and "greet" in answer.text

    @pytest.mark.parametrize("content, file_name", [
        (text_of(HELLO).encode(), "x.yml"), (json.dumps(HELLO).encode(), "x.json"),
        (b"# comment\n---\n" + text_of(HELLO).encode() + b"---\n", "x.yaml"),
    ], ids=lambda value: value if isinstance(value, str) else "")
    def test_accepted_formats(self, api, content, file_name):
        # row: E1 E3
        answer = upload(api, content, file_name, name=new_name())
        assert answer.status_code == 200, answer.text
        owner = answer.json()["pipeline_id"]
        version = api.get(f"/pipelines/{owner}/versions")["pipeline_versions"][0]
        assert version["pipeline_spec"] == HELLO

    @pytest.mark.parametrize("content, file_name", [
        (zipped(("other.yaml", "a: b"), ("pipeline.yaml", text_of(HELLO))), "x.zip"),
        (zipped(("first.yml", text_of(HELLO)), ("second.yaml", "a: b")), "first.zip"),
        (tarred(("notes.txt", "hi"), ("pipeline.yaml", text_of(HELLO))), "x.tar.gz"),
        (tarred(("first.yaml", text_of(HELLO))), "no-ending")],
        ids=lambda value: value if isinstance(value, str) else "")
    def test_archives(self, api, content, file_name):
        # row: E4 E5 A168
        answer = upload(api, content, file_name, name=new_name())
        assert answer.status_code == 200, answer.text
        owner = answer.json()["pipeline_id"]
        versions = api.get(f"/pipelines/{owner}/versions")["pipeline_versions"]
        assert [version["pipeline_spec"] for version in versions] == [HELLO]
        # row: A184
        version = upload(api, content, file_name, version=True, name=new_name("v"),
                         pipelineid=owner)
        assert version.status_code == 200 and version.json()["pipeline_spec"] == HELLO

    @pytest.mark.parametrize("content, want", [
        (zipped(("a.txt", "x")), "'a.txt'"),
        (zipped(("../pipeline.yaml", text_of(HELLO))), "'../pipeline.yaml'"),
        (zipped(("/pipeline.yaml", text_of(HELLO))), "absolute"),
        (zipped(*((f"{i}.yaml", "") for i in range(10_001))), "10000 entries"),
        (zipped(("d/" * 40 + "a.yaml", "")), "32 folders"),
        (zipped(("pipeline.yaml", "#" * (70 << 20))), "67108864 bytes"),
        (zipped(("pipeline.yaml", "#" * (8 << 20))), "200 times"),
        (tarred(("pipeline.yaml", text_of(HELLO)))[:60], "archive"),
    ], ids=["no-yaml", "dots", "absolute", "entries", "depth", "size", "ratio", "truncated"])
    def test_hostile_archives(self, api, content, want):
        answer = upload(api, content, "x.zip", name=new_name())
        assert answer.status_code == 400, answer.text
        assert want in answer.json()["error_message"]

    def test_platform_document(self, api):
        # row: E2
        platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}
        content = f"{text_of(HELLO)}---\n{text_of(platform)}".encode()
        answer = upload(api, content, name=new_name())
        assert answer.status_code == 200, answer.text
        owner = answer.json()["pipeline_id"]
        spec = api.get(f"/pipelines/{owner}/versions")["pipeline_versions"][0]["pipeline_spec"]
        assert spec["pipeline_spec"] == HELLO
        assert "kubernetes" in spec["platform_spec"]["platforms"]

    def test_refused_requests(self, api):
        # row: A167 A172-A174 E6
        import requests
        name = uploaded(api)["name"]
        assert upload(api, name=name).status_code == 409
        assert upload(api, name="n" * 129).status_code == 400
        assert upload(api, name=new_name(), tags="not-json").status_code == 400
        assert upload(api, b"#" * (33 << 20), name=new_name()).status_code == 400
        answer = requests.post(f"{api.url}/apis/v2beta1/pipelines/upload", timeout=10,
                               files={"other": ("x.yaml", b"a: 1")})
        assert answer.status_code == 400

    def test_versions(self, api):
        # row: A148 A175-A178
        owner = uploaded(api)["pipeline_id"]
        made = add_version(api, owner, NAMED, description="second", tags='{"a": "b"}')
        assert made["pipeline_spec"] == NAMED
        assert (made["description"], made["tags"]) == ("second", {"a": "b"})
        assert made["display_name"] == made["name"] and made["pipeline_id"] == owner
        assert api.get(f"/pipelines/{owner}/versions/{made['pipeline_version_id']}") == made
        assert "tags" not in add_version(api, owner, tags="{}")

    def test_refused_versions(self, api):
        # row: A179-A182 A185
        made = uploaded(api)
        owner = made["pipeline_id"]
        for tags in ('{"%s": "v"}' % ("k" * 64), '{"k": "%s"}' % ("v" * 64), "not-valid-json",
                     '{"": "v"}', '{"a.b": "v"}', json.dumps({f"k{i}": "v" for i in range(21)})):
            answer = upload(api, version=True, name=new_name(), pipelineid=owner, tags=tags)
            assert answer.status_code == 400, tags
        assert upload(api, version=True, name=made["name"], pipelineid=owner).status_code == 409
        assert upload(api, version=True, name=new_name(), pipelineid="12345").status_code == 400
        assert upload(api, version=True, name=new_name()).status_code == 400
        assert api.get(f"/pipelines/{owner}/versions")["total_size"] == 1


class TestExperiments:
    def make(self, api, **fields):
        return api.post("/experiments", {"display_name": new_name("e"), **fields})

    def test_create_and_get(self, api):
        # row: A186 A188 A193 A197
        made = self.make(api, description="about", namespace="kubeflow")
        assert made["storage_state"] == "AVAILABLE" and made["created_at"]
        assert made["description"] == "about" and "namespace" not in made
        assert made["last_run_created_at"] == "1970-01-01T00:00:00Z"
        assert api.get(f"/experiments/{made['experiment_id']}") == made

    def test_refused(self, api):
        # row: A189 A203 A207 A210 A211
        made = self.make(api)
        body = refused(api.call("POST", "/experiments", {"display_name": made["display_name"]}), 409, 6)
        assert "Please specify a new name" in body["message"]
        assert api.call("POST", "/experiments", {"display_name": "n" * 500}).status_code in (400, 500)
        assert api.call("POST", "/experiments", {}).status_code in (400, 500)
        refused(api.call("DELETE", f"/experiments/{NIL}"), 404, 5)
        default = api.get("/experiments", filter=equals("name", "Default"))["experiments"][0]
        refused(api.call("DELETE", f"/experiments/{default['experiment_id']}"), 409, 10)

    def test_lists(self, api):
        # row: A190-A192 A196 A198-A202
        names = [self.make(api, display_name=new_name(f"e-{letter}"))["display_name"]
                 for letter in "abc"]
        for key in ("name", "display_name", "created_at", "last_run_created_at", "id"):
            for direction in ("asc", "desc"):
                found = pages(api, "/experiments", "experiments", page_size=2,
                              sort_by=f"{key} {direction}")
                field = {"name": "display_name", "id": "experiment_id"}.get(key, key)
                values = [e[field] for page in found for e in page]
                assert values == sorted(values, reverse=direction == "desc")
        api.get("/experiments", sort_by="created_at", page_size=1000)
        found = api.get("/experiments", filter=equals("display_name", names[0]))
        assert [e["display_name"] for e in found["experiments"]] == names[:1]
        refused(api.call("GET", "/experiments", sort_by="unknownfield"), 400, 3)
        refused(api.call("GET", "/experiments", filter=equals("run_id", "x")), 400, 3)
        odd = new_name("!@#$% 实验")
        assert self.make(api, display_name=odd)["display_name"] == odd

    def test_archive(self, api):
        # row: A194 A195 A207-A209 A230 A250 A259
        made = self.make(api)["experiment_id"]
        done = api.create_run(HELLO, experiment_id=made)
        napping = api.create_run(SLEEPY, experiment_id=made)
        for _ in range(2):
            assert api.call("POST", f"/experiments/{made}:archive").status_code == 200
        assert api.get(f"/experiments/{made}")["storage_state"] == "ARCHIVED"
        runs = api.get("/runs", experiment_id=made)["runs"]
        assert [r["storage_state"] for r in runs] == ["ARCHIVED", "ARCHIVED"]
        assert api.get(f"/runs/{napping}")["state"] in ("PENDING", "RUNNING")
        refused(api.call("POST", f"/runs/{done}:unarchive"), 400, 9)
        api.create_run(HELLO, experiment_id=made)
        for _ in range(2):
            assert api.call("POST", f"/experiments/{made}:unarchive").status_code == 200
        assert api.get(f"/experiments/{made}")["storage_state"] == "AVAILABLE"
        assert api.get(f"/runs/{done}")["storage_state"] == "ARCHIVED"
        assert api.call("POST", f"/runs/{done}:unarchive").status_code == 200
        api.post(f"/runs/{napping}:terminate")
        api.wait(napping)

    def test_delete(self, api):
        # row: A205 A206
        made = self.make(api)["experiment_id"]
        run = api.create_run(HELLO, experiment_id=made)
        api.wait(run)
        assert api.call("DELETE", f"/experiments/{made}").status_code == 200
        refused(api.call("GET", f"/experiments/{made}"), 404, 5)
        assert api.get(f"/runs/{run}")["experiment_id"] == made


class TestRuns:
    def test_version_reference(self, api):
        # row: A212 A213 A217 A222 A256
        owner = uploaded(api)["pipeline_id"]
        version = api.get(f"/pipelines/{owner}/versions")["pipeline_versions"][0]
        reference = {"pipeline_id": owner, "pipeline_version_id": version["pipeline_version_id"]}
        experiment = api.post("/experiments", {"display_name": new_name()})["experiment_id"]
        body = {"display_name": "by reference", "description": "d", "experiment_id": experiment,
                "pipeline_version_reference": reference, "service_account": "me"}
        made = api.post("/runs", body)
        assert {k: made[k] for k in body} == body
        assert made["state"] == "PENDING" and made["storage_state"] == "AVAILABLE"
        assert made["finished_at"] == "1970-01-01T00:00:00Z"
        assert made["scheduled_at"] == made["created_at"]
        assert [h["state"] for h in made["state_history"]] == ["PENDING"]
        for absent in ("pipeline_spec", "runtime_config", "run_details", "error"):
            assert absent not in made
        assert api.wait(made["run_id"])["state"] == "SUCCEEDED"
        run = api.get(f"/runs/{made['run_id']}")
        assert {k: run[k] for k in body} == body
        assert run["state"] == "SUCCEEDED" and run["finished_at"] > "2000"
        assert run["run_details"]["task_details"]
        latest = api.post("/runs", {"display_name": "latest",
                                    "pipeline_version_reference": {"pipeline_id": owner}})
        assert latest["pipeline_version_reference"] == reference
        assert latest["service_account"]
        api.wait(latest["run_id"])

    def test_inline_spec(self, api):
        # row: A223
        params = {"who": "me", "times": 3}
        made = api.post("/runs", {"display_name": "inline", "pipeline_spec": NAMED,
                                  "runtime_config": {"parameters": params}})
        assert made["pipeline_spec"] == NAMED
        assert made["runtime_config"]["parameters"] == params
        assert "pipeline_version_reference" not in made
        report = api.wait(made["run_id"])
        assert api.log_of(report, "greet") == "me\n"

    def test_same_name_twice(self, api):
        # row: A214 A215
        assert api.create_run(HELLO, name="twin") != api.create_run(HELLO, name="twin")

    def test_lists(self, api):
        # row: A224-A229 A243-A246
        experiment = api.post("/experiments", {"display_name": new_name()})["experiment_id"]
        ids = [api.create_run(HELLO, name=name, experiment_id=experiment)
               for name in ("hello world", "argument parameter")]
        answer = api.get("/runs", experiment_id=experiment)
        assert answer["total_size"] == 2
        assert {r["run_id"] for r in answer["runs"]} == set(ids)

        first = api.get("/runs", experiment_id=experiment, page_size=1, sort_by="created_at")
        second = api.get("/runs", experiment_id=experiment, page_size=1,
                         page_token=first["next_page_token"])
        assert "next_page_token" not in second
        assert {first["runs"][0]["run_id"], second["runs"][0]["run_id"]} == set(ids)

        first = api.get("/runs", experiment_id=experiment, page_size=1, sort_by="name")
        second = api.get("/runs", experiment_id=experiment, page_size=1, sort_by="name",
                         page_token=first["next_page_token"])
        assert first["runs"][0]["display_name"] == "argument parameter"
        assert second["runs"][0]["display_name"] == "hello world"

        for field in ("unknownfield", "pipeline_version_id", "updated_at"):
            refused(api.call("GET", "/runs", sort_by=field), 400, 3)
        refused(api.call("GET", "/runs", experiment_id=NIL), 404, 5)

        def found(*items):
            return {r["run_id"] for r in api.get(
                "/runs", experiment_id=experiment, filter=predicates(*items)).get("runs", [])}

        assert found(("EQUALS", "run_id", {"string_value": ids[0]})) == {ids[0]}
        assert found(("IS_SUBSTRING", "display_name", {"string_value": "hello"})) == {ids[0]}
        assert found(("NOT_EQUALS", "name", {"string_value": "hello world"})) == {ids[1]}
        assert found(("EQUALS", "experiment_id", {"string_value": experiment})) == set(ids)
        later = str(int(time.time()) + 100)
        assert found(("LESS_THAN", "created_at", {"string_value": later})) == set(ids)
        assert found(("LESS_THAN", "created_at", {"string_value": "1000"})) == set()
        assert found(("EQUALS", "storage_state", {"string_value": "ARCHIVED"})) == set()
        for run in ids:
            api.wait(run)
        assert found(("EQUALS", "state", {"string_value": "SUCCEEDED"})) == set(ids)
        for key in ("run_id", "id", "name", "display_name", "created_at", "finished_at",
                    "scheduled_at", "description", "storage_state", "state"):
            for direction in ("asc", "desc"):
                got = pages(api, "/runs", "runs", experiment_id=experiment, page_size=1,
                            sort_by=f"{key} {direction}")
                assert {r["run_id"] for page in got for r in page} == set(ids)

    def test_archive(self, api):
        # row: A218-A220 A247 A248
        run = api.create_run(SLEEPY)
        for _ in range(2):
            assert api.call("POST", f"/runs/{run}:archive").status_code == 200
        got = api.get(f"/runs/{run}")
        assert got["storage_state"] == "ARCHIVED" and got["state"] in ("PENDING", "RUNNING")
        for _ in range(2):
            assert api.call("POST", f"/runs/{run}:unarchive").status_code == 200
        assert api.get(f"/runs/{run}")["storage_state"] == "AVAILABLE"
        for verb in ("archive", "unarchive"):
            refused(api.call("POST", f"/runs/{NIL}:{verb}"), 404, 5)
        api.post(f"/runs/{run}:terminate")
        api.wait(run)

    def test_terminate(self, api):
        # row: A231 A233 A241 A242 E163
        run = api.create_run(SLEEPY)
        assert api.call("POST", f"/runs/{run}:terminate").status_code == 200
        assert api.get(f"/runs/{run}")["state"] in ("CANCELING", "FAILED")
        report = api.wait(run, timeout=30)
        assert report["state"] == "FAILED" and report["cancelled"] is True
        got = api.get(f"/runs/{run}")
        assert got["state"] == "FAILED" and got["error"]["message"]
        assert api.task(report, "nap")["state"] == "CANCELED"
        refused(api.call("POST", f"/runs/{run}:terminate"), 400, 3)
        refused(api.call("POST", f"/runs/{NIL}:terminate"), 404, 5)

    def test_delete(self, api):
        # row: A232 A234 A249
        run = api.create_run(SLEEPY)
        assert api.call("DELETE", f"/runs/{run}").status_code == 200
        refused(api.call("GET", f"/runs/{run}"), 404, 5)
        refused(api.call("DELETE", f"/runs/{run}"), 404, 5)
        from harness import steps_of
        wait_until(lambda: not any("sleep 600" in words for words in steps_of(api.data_dir).values()),
                   30, "end of the deleted run's step")

    @pytest.mark.parametrize("params, named", [
        ({}, "who"), ({"who": "x", "extra": 1, "more": 2}, "extra"),
        ({"who": "x", "times": "2"}, "times"), ({"who": 3}, "who"), ({"who": None}, "who")])
    def test_wrong_parameters(self, api, params, named):
        # row: A251-A253 E24 E26-E28
        before = api.get("/runs").get("total_size", 0)
        answer = api.call("POST", "/runs", {"display_name": "wrong", "pipeline_spec": NAMED,
                                            "runtime_config": {"parameters": params}})
        assert named in refused(answer, 400, 3)["message"]
        assert api.get("/runs").get("total_size", 0) == before

    def test_wrong_sources(self, api):
        # row: A250 A254 A255 A257
        one, other = uploaded(api)["pipeline_id"], uploaded(api)["pipeline_id"]
        version = api.get(f"/pipelines/{other}/versions")["pipeline_versions"][0]
        wrong = [
            {"display_name": "x", "pipeline_version_reference": {
                "pipeline_id": one, "pipeline_version_id": NIL}},
            {"display_name": "x", "pipeline_version_reference": {
                "pipeline_id": one, "pipeline_version_id": version["pipeline_version_id"]}},
            {"display_name": "x"}, {"pipeline_spec": HELLO},
            {"display_name": "x", "pipeline_spec": {"root": {}}},
        ]
        for body in wrong:
            answer = api.call("POST", "/runs", body)
            assert answer.status_code in (400, 404, 500), f"{body}: {answer.text}"
            assert answer.json()["message"]
        refused(api.call("POST", "/runs", {"display_name": "x", "pipeline_spec": HELLO,
                                           "experiment_id": NIL}), 404, 5)

    def test_chosen_run_id(self, api):
        run_id = new_name("chosen")
        assert api.create_run(HELLO, run_id=run_id) == run_id
        assert api.wait(run_id)["state"] == "SUCCEEDED"

    def test_task_details(self, api):
        # row: E253
        spec = pipeline("two-rows", {"first": step(shell("exit 0")),
                                     "second": step(shell("exit 3"), after=["first"]),
                                     "third": step(shell("exit 0"), after=["second"])})
        run = api.create_run(spec)
        assert api.wait(run)["state"] == "FAILED"
        got = api.get(f"/runs/{run}")
        states = {d["display_name"]: d.get("state") for d in got["run_details"]["task_details"]}
        assert states["first"] == "SUCCEEDED" and states["second"] == "FAILED"
        assert states["third"] is None  # omitted: no upstream word for it
        assert "second" in got["error"]["message"]
        assert [h["state"] for h in got["state_history"]] == ["PENDING", "RUNNING", "FAILED"]

    def test_many_at_once(self, api):
        """Concurrent creates are all acknowledged, all kept, all run."""
        ids, faults = [], []

        def create():
            try:
                ids.append(api.create_run(HELLO, name="many"))
            except AssertionError as fault:
                faults.append(fault)

        threads = [threading.Thread(target=create) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not faults and len(set(ids)) == 16
        assert {api.wait(run)["state"] for run in ids} == {"SUCCEEDED"}


def test_client_reads_what_the_cli_started(api, tmp_path):
    """`caudal run --server` is an ordinary client."""
    file = tmp_path / "hello.yaml"
    file.write_text(text_of(HELLO))
    done = caudal("run", file, "--server", api.url, "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert api.get(f"/runs/{run['run_id']}")["state"] == "SUCCEEDED"
