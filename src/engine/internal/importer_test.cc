#include "engine/internal/importer.h"

#include <gtest/gtest.h>

#include "engine/testing/scene.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

// A task `import` with the inputs uri, metadata, metadata-2 and, from the task `make`, made.
std::string Package(const std::string& importer, bool has_workspace = false) {
  return R"(
pipelineInfo: {name: p}
schemaVersion: 2.1.0
deploymentSpec:
  executors:
    exec-make: {container: {image: none}}
    exec-import: {importer: )" +
         importer + R"(}
components:
  comp-make:
    executorLabel: exec-make
    outputDefinitions: {parameters: {Output: {parameterType: STRING}}}
  comp-import:
    executorLabel: exec-import
    inputDefinitions:
      parameters:
        uri: {parameterType: STRING, isOptional: true}
        metadata: {parameterType: STRING, isOptional: true}
        metadata-2: {parameterType: NUMBER_INTEGER, isOptional: true, defaultValue: 7}
        made: {parameterType: STRING, isOptional: true}
    outputDefinitions:
      artifacts: {artifact: {artifactType: {schemaTitle: system.Dataset}}}
root:
  dag:
    tasks:
      make: {taskInfo: {name: make}, componentRef: {name: comp-make}}
      import:
        taskInfo: {name: a display name}
        componentRef: {name: comp-import}
        inputs:
          parameters:
            uri: {componentInputParameter: uri}
            metadata: {componentInputParameter: name}
            made: {taskOutputParameter: {producerTask: make, outputParameterKey: Output}}
  inputDefinitions:
    parameters:
      uri: {parameterType: STRING, isOptional: true}
      name: {parameterType: STRING, isOptional: true}
)" +
         (has_workspace ? "---\nplatforms: {kubernetes: {pipelineConfig: {workspace: {size: 1Gi, "
                          "kubernetes: {pvcSpecPatch: {accessModes: [ReadWriteOnce]}}}}}}\n"
                        : "");
}

std::string Got(const std::string& importer, std::string_view parameters = "{}",
                bool has_workspace = false) {
  Scene scene(Package(importer, has_workspace), parameters);
  scene.SetOutput("make", "Output", "\"gs://made/x\"");
  const auto artifact = ImportedArtifact(scene.draft(), scene.Enter("import"));
  return artifact.ok() ? wire::ToJson(*artifact, wire::FieldNames::kSnakeCase)
                       : "error: " + artifact.status().message();
}

std::string Uri(const std::string& uri, const std::string& more = "", bool has_workspace = false) {
  return Got("{artifactUri: {constant: '" + uri + "'}" + more + "}", "{}", has_workspace);
}

void ExpectHas(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

// row: E181
TEST(Importer, ConstantUri) {
  EXPECT_EQ(Uri("gs://b/x", ", typeSchema: {schemaTitle: system.Model, schemaVersion: 0.0.1}"),
            R"({"name":"artifact","type":{"schema_title":"system.Model","schema_version":"0.0.1"},)"
            R"("uri":"gs://b/x"})");
  ExpectHas(Uri("gs://b/x"), "system.Dataset");
  ExpectHas(Uri("gs://b/{{$.pipeline_job_uuid}}"), "gs://b/3f0e3c1e");
  ExpectHas(Got("{artifactUri: {constant: \"{{$.inputs.parameters['metadata']}}\"}}"), "is empty");
  ExpectHas(Uri("gs://b/x", ", typeSchema: {schemaUri: 'x.yaml'}"), "\"x.yaml\"");
}

// row: E182
TEST(Importer, RuntimeUri) {
  const std::string uri = "{artifactUri: {runtimeParameter: uri}}";
  ExpectHas(Got(uri, R"({"uri": "s3://b/x"})"), R"("uri":"s3://b/x")");
  ExpectHas(Got(uri, R"({"uri": ""})"), "error: artifact URI from input 'uri' is empty");
  ExpectHas(Got(uri), "input 'uri', which has no value");
  ExpectHas(Got("{artifactUri: {runtimeParameter: made}}"), R"("uri":"gs://made/x")");
  ExpectHas(Got(uri, R"({"uri": "gs://b/{{$.pipeline_job_uuid}}"})"),
            "gs://b/{{$.pipeline_job_uuid}}");
}

// row: E185
TEST(Importer, MetadataWithPlaceholders) {
  ExpectHas(
      Got("{artifactUri: {constant: gs://b/x}, metadata: {"
          " name: \"pre-{{$.inputs.parameters['metadata']}}\","
          " \"{{$.inputs.parameters['metadata']}}\": [\"{{$.inputs.parameters['metadata-2']}}\"],"
          " deep: {\"k-{{$.inputs.parameters['metadata']}}\": true}, n: 5,"
          " absent: \"<{{$.inputs.parameters['nobody']}}>\"}}",
          R"({"name": "ann"})"),
      R"("metadata":{"absent":"<{{$.inputs.parameters['nobody']}}>","ann":["7"],)"
      R"("deep":{"k-ann":true},"n":5,"name":"pre-ann"})");
}

// row: E186
TEST(Importer, Workspace) {
  const std::string download = ", downloadToWorkspace: true";
  ExpectHas(Uri("gs://b/x", download, true), R"("uri":"gs://b/x")");
  ExpectHas(Uri("https://b/x", download, true), "cannot be downloaded to the workspace");
}

// row: E187
TEST(Importer, Images) {
  ExpectHas(Uri("oci://r/m:1", ", typeSchema: {schemaTitle: system.Model}"),
            R"("uri":"oci://r/m:1")");
  ExpectHas(
      Uri("oci://r/m:1", ", typeSchema: {instanceSchema: \"title: system.Model\\ntype: object\"}"),
      R"("uri":"oci://r/m:1")");
  ExpectHas(Uri("oci://r/m:1"), "not as system.Dataset");
  ExpectHas(Uri("oci://r/m:1",
                ", typeSchema: {schemaTitle: system.Model}, downloadToWorkspace: true", true),
            "cannot be downloaded");
}

// row: E188
TEST(Importer, Schemes) {
  for (const char* uri : {"http://h/x", "https://h/x", "file:///x", "mem://b/x", "minio://b/x",
                          "hf://org/model", "/data/x"}) {
    ExpectHas(Uri(uri), "\"uri\":\"" + std::string(uri) + "\"");
  }
  ExpectHas(Uri("gopher://h/x"), "unknown scheme gopher://; known are gs://, s3://, minio://");
  ExpectHas(Uri("data/x"), "no scheme");
}

}  // namespace
}  // namespace caudal::engine
