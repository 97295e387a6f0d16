#include "engine/internal/surroundings.h"

#include <gtest/gtest.h>

#include "engine/attempt.h"
#include "engine/testing/scene.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

// A step `use` beside `make`, in a sub-pipeline `sub` whose inputs are those of the run.
std::string Package(const std::string& config, const std::string& component = "",
                    const std::string& container = "image: none") {
  return R"(
pipelineInfo: {name: p}
schemaVersion: 2.1.0
deploymentSpec:
  executors:
    exec-make: {container: {image: none}}
    exec-use:
      container: {)" +
         container + R"(}
components:
  comp-make:
    executorLabel: exec-make
    outputDefinitions: {parameters: {Output: {parameterType: STRING}}}
  comp-use:
    executorLabel: exec-use
    )" + component +
         R"(
  comp-sub:
    dag:
      tasks:
        make: {taskInfo: {name: make}, componentRef: {name: comp-make}}
        use: {taskInfo: {name: use}, componentRef: {name: comp-use}}
    inputDefinitions: &inputs
      parameters:
        name: {parameterType: STRING, isOptional: true}
        json: {parameterType: STRUCT, isOptional: true}
        list: {parameterType: LIST, isOptional: true}
        number: {parameterType: NUMBER_INTEGER, isOptional: true}
root:
  dag:
    tasks:
      sub:
        taskInfo: {name: sub}
        componentRef: {name: comp-sub}
        inputs:
          parameters:
            name: {componentInputParameter: name}
            json: {componentInputParameter: json}
            list: {componentInputParameter: list}
            number: {componentInputParameter: number}
  inputDefinitions: *inputs
---
platforms:
  kubernetes:
    deploymentSpec:
      executors:
        exec-use: )" +
         config + "\n";
}

struct Outcome {
  v1::Surroundings got;
  std::string error;
};

Outcome Resolve(const std::string& config, std::string_view parameters = "{}") {
  Scene scene(Package(config), parameters);
  scene.SetOutput("sub/make", "Output", "\"made\"");
  const auto result = ResolveSurroundings(scene.draft(), scene.Enter("sub/use"));
  if (!result.ok()) return {{}, result.status().message()};
  return {*result, ""};
}

std::string Json(const google::protobuf::Message& message) {
  return wire::ToJson(message, wire::FieldNames::kSnakeCase);
}

std::string Got(const std::string& config, std::string_view parameters = "{}") {
  const Outcome outcome = Resolve(config, parameters);
  return outcome.error.empty() ? Json(outcome.got) : "error: " + outcome.error;
}

std::vector<std::string> Notes(const std::string& config, std::string_view parameters = "{}") {
  const Outcome outcome = Resolve(config, parameters);
  EXPECT_EQ(outcome.error, "");
  return {outcome.got.notes().begin(), outcome.got.notes().end()};
}

void ExpectError(const std::string& config, const std::string& part,
                 std::string_view parameters = "{}") {
  const Outcome outcome = Resolve(config, parameters);
  EXPECT_NE(outcome.error.find(part), std::string::npos) << config << ": " << outcome.error;
}

TEST(Surroundings, NothingAskedFor) { EXPECT_EQ(Got("{}"), "{}"); }

// row: E229
TEST(Surroundings, SecretsAsEnvironment) {
  EXPECT_EQ(Got("{secretAsEnv: [{secretName: old, optional: true,"
                " keyToEnv: [{secretKey: k, envVar: V}, {secretKey: l, envVar: W}]}]}"),
            R"({"env_from_keys":[{"name":"old","key":"k","variable":"V","optional":true},)"
            R"({"name":"old","key":"l","variable":"W","optional":true}]})");
  // The parameter wins over the form that came before.
  const std::string keys = "keyToEnv: [{secretKey: k, envVar: V}]";
  const std::string want = R"({"env_from_keys":[{"name":"%","key":"k","variable":"V"}]})";
  const auto wants = [&](const std::string& name) {
    return std::string(want).replace(want.find('%'), 1, name);
  };
  EXPECT_EQ(Got("{secretAsEnv: [{secretName: old, " + keys +
                ", secretNameParameter: {runtimeValue: {constant: new}}}]}"),
            wants("new"));
  EXPECT_EQ(
      Got("{secretAsEnv: [{" + keys + ", secretNameParameter: {componentInputParameter: name}}]}",
          R"({"name": "given"})"),
      wants("given"));
  EXPECT_EQ(Got("{secretAsEnv: [{" + keys +
                ", secretNameParameter: {taskOutputParameter:"
                " {producerTask: make, outputParameterKey: Output}}}]}"),
            wants("made"));
  EXPECT_EQ(Got("{secretAsEnv: [{" + keys +
                ", secretNameParameter: {runtimeValue: {constant:"
                " 's-{{$.pipeline_job_resource_name}}'}}}]}"),
            wants("s-p-abcde"));
}

// row: E229, E230
TEST(Surroundings, WhatIsNullIsSkipped) {
  const std::string name = "{componentInputParameter: name}";
  EXPECT_EQ(Got("{secretAsEnv: [{secretNameParameter: " + name +
                ", keyToEnv: [{secretKey: k, envVar: V}]}],"
                " secretAsVolume: [{secretNameParameter: " +
                name +
                ", mountPath: /s}],"
                " configMapAsEnv: [{configMapNameParameter: " +
                name +
                ", keyToEnv: [{configMapKey: k, envVar: V}]}],"
                " configMapAsVolume: [{configMapNameParameter: " +
                name +
                ", mountPath: /c}],"
                " imagePullSecret: [{secretNameParameter: " +
                name +
                "}],"
                " tolerations: [{tolerationJson: {componentInputParameter: list}}],"
                " nodeSelector: {nodeSelectorJson: {componentInputParameter: json}},"
                " nodeAffinity: [{nodeAffinityJson: {componentInputParameter: json}}]}"),
            "{}");
}

// row: E230
TEST(Surroundings, ConfigMapsAndFiles) {
  EXPECT_EQ(Got("{configMapAsEnv: [{configMapName: c, keyToEnv: [{configMapKey: k, envVar: V}]}],"
                " configMapAsVolume: [{configMapName: c, mountPath: /c, optional: true}],"
                " secretAsVolume: [{secretName: s, mountPath: /s}]}"),
            R"({"env_from_keys":[{"source":"CONFIG_MAP","name":"c","key":"k","variable":"V"}],)"
            R"("mounted_keys":[{"name":"s","mount_path":"/s"},)"
            R"({"source":"CONFIG_MAP","name":"c","mount_path":"/c","optional":true}]})");
}

TEST(Surroundings, BadNames) {
  ExpectError("{secretAsVolume: [{mountPath: /s}]}", "secretAsVolume[0].secretNameParameter");
  ExpectError("{secretAsVolume: [{secretName: ../x, mountPath: /s}]}", "\"../x\"");
  ExpectError(
      "{secretAsVolume: [{mountPath: /s, secretNameParameter: {componentInputParameter:"
      " number}}]}",
      "is 5, which is no name", R"({"number": 5})");
  ExpectError("{secretAsEnv: [{secretName: s, keyToEnv: [{secretKey: k, envVar: 'A=B'}]}]}",
              "\"A=B\"");
  ExpectError("{secretAsEnv: [{secretName: s, keyToEnv: [{envVar: A}]}]}", "names no key");
}

TEST(Surroundings, MissingOutputIsAFault) {
  Scene scene(
      Package("{secretAsVolume: [{mountPath: /s, secretNameParameter: {taskOutputParameter:"
              " {producerTask: make, outputParameterKey: Output}}}]}"));
  const auto result = ResolveSurroundings(scene.draft(), scene.Enter("sub/use"));
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("make"), std::string::npos) << result.status().message();
}

// row: E231, E232, E244
TEST(Surroundings, Claims) {
  const std::string claim = R"({"mounted_volumes":[{"claim":"%","mount_path":"/data"}]})";
  const auto wants = [&](const std::string& name) {
    return std::string(claim).replace(claim.find('%'), 1, name);
  };
  EXPECT_EQ(Got("{pvcMount: [{constant: old, mountPath: /data}]}"), wants("old"));
  EXPECT_EQ(Got("{pvcMount: [{componentInputParameter: name, mountPath: /data}]}",
                R"({"name": "given"})"),
            wants("given"));
  EXPECT_EQ(Got("{pvcMount: [{taskOutputParameter: {producerTask: make,"
                " outputParameterKey: Output}, mountPath: /data}]}"),
            wants("made"));
  EXPECT_EQ(Got("{pvcMount: [{constant: old, mountPath: /data,"
                " pvcNameParameter: {runtimeValue: {constant: new}}}]}"),
            wants("new"));
  EXPECT_EQ(Got("{pvcMount: [{constant: c, mountPath: /a, subPath: x/y},"
                " {constant: c, mountPath: /b}]}"),
            R"({"mounted_volumes":[{"claim":"c","mount_path":"/a","sub_path":"x/y"},)"
            R"({"claim":"c","mount_path":"/b"}]})");
}

TEST(Surroundings, BadClaims) {
  ExpectError("{pvcMount: [{mountPath: /a}]}", "names no volume claim");
  ExpectError("{pvcMount: [{mountPath: /a, pvcNameParameter: {componentInputParameter: name}}]}",
              "is null");
  ExpectError("{pvcMount: [{constant: c}]}", "mountPath is missing");
  ExpectError("{pvcMount: [{constant: c, mountPath: data}]}", "\"data\"");
  ExpectError("{pvcMount: [{constant: c, mountPath: /a/../../etc}]}", "\"/a/../../etc\"");
  ExpectError("{pvcMount: [{constant: c, mountPath: /./}]}", "hide the whole system");
  ExpectError("{pvcMount: [{constant: c, mountPath: /a, subPath: /etc}]}", "subPath is \"/etc\"");
  ExpectError("{pvcMount: [{constant: c, mountPath: /a, subPath: x/..}]}", "subPath is \"x/..\"");
  ExpectError("{pvcMount: [{constant: c, mountPath: /a}, {constant: d, mountPath: /a/}]}",
              "as is pvcMount[0].mountPath");
}

// row: E233
TEST(Surroundings, FoldersOfTheirOwn) {
  const auto got = Resolve(
      "{emptyDirMounts: [{volumeName: e, mountPath: /e, medium: Memory,"
      " sizeLimit: 1Gi}], genericEphemeralVolume: [{volumeName: g,"
      " mountPath: /g, size: 2Gi, storageClassName: fast}]}");
  ASSERT_EQ(got.error, "");
  ASSERT_EQ(got.got.mounted_volumes_size(), 2);
  EXPECT_EQ(got.got.mounted_volumes(0).mount_path(), "/g");
  EXPECT_EQ(got.got.mounted_volumes(1).mount_path(), "/e");
  EXPECT_EQ(got.got.mounted_volumes(0).claim() + got.got.mounted_volumes(1).claim(), "");
  EXPECT_EQ(got.got.notes_size(), 3);
  ExpectError("{emptyDirMounts: [{mountPath: /e, sizeLimit: much}]}", "\"much\"");
  ExpectError("{genericEphemeralVolume: [{mountPath: /e, size: much}]}", "\"much\"");
}

// row: E234, E236, E237, E239, E245, E247
TEST(Surroundings, NotesForWhatNeedsACluster) {
  const auto only = [](const std::string& config) {
    const auto notes = Notes(config);
    EXPECT_EQ(notes.size(), 1u) << config;
    return notes.empty() ? "" : notes[0].substr(0, notes[0].find(": means"));
  };
  EXPECT_EQ(only("{nodeSelector: {labels: {disk: ssd}}}"), R"(node selector {"disk":"ssd"})");
  EXPECT_EQ(only("{tolerations: [{key: k, operator: Exists, tolerationSeconds: 5}, {}]}"),
            R"(tolerations [{"key":"k","operator":"Exists","tolerationSeconds":5},{}])");
  EXPECT_EQ(only("{nodeAffinity: [{matchExpressions: [{key: k, operator: In, values: [v]}]}]}"),
            R"(affinity {"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":)"
            R"({"nodeSelectorTerms":[{"matchExpressions":)"
            R"([{"key":"k","operator":"In","values":["v"]}]}]}}})");
  EXPECT_NE(only("{podAffinity: [{topologyKey: zone, matchPodLabels: {a: b}, anti: true}]}")
                .find("podAntiAffinity"),
            std::string::npos);
  EXPECT_EQ(only("{podMetadata: {labels: {a: b}}}"), R"(pod labels {"a":"b"})");
  EXPECT_EQ(only("{podMetadata: {annotations: {a: b}}}"), R"(pod annotations {"a":"b"})");
  EXPECT_EQ(only("{imagePullPolicy: Always}"), "image pull policy Always");
  EXPECT_EQ(only("{imagePullSecret: [{secretName: a}, {secretName: b}]}"),
            "image pull secrets a, b");
  EXPECT_EQ(only("{securityContext: {runAsUser: 1000, runAsGroup: 0, runAsNonRoot: true}}"),
            "security context runAsUser 1000, runAsGroup 0, runAsNonRoot");
  EXPECT_EQ(only("{enabledSharedMemory: {volumeName: shm, size: 1Gi}}"), "shared memory of 1Gi");
}

// row: E237, E239
TEST(Surroundings, BadPolicies) {
  ExpectError("{imagePullPolicy: Sometimes}", "\"Sometimes\"");
  ExpectError("{securityContext: {runAsUser: -1}}", "-1");
  ExpectError("{activeDeadlineSeconds: -1}", "-1");
}

// row: E235
TEST(Surroundings, JsonParameters) {
  const std::string list = "{componentInputParameter: list}";
  const std::string json = "{componentInputParameter: json}";
  EXPECT_EQ(Notes("{tolerations: [{tolerationJson: " + list + "}]}",
                  R"({"list": [{"key": "a"}, {"key": "b"}]})")[0],
            R"(tolerations [{"key":"a"},{"key":"b"}]: means nothing on one machine)");
  EXPECT_EQ(
      Notes("{tolerations: [{tolerationJson: " + json + "}]}", R"({"json": {"key": "a"}})").size(),
      1u);
  EXPECT_EQ(Notes("{tolerations: [{tolerationJson: " + json + "}]}", R"({"json": {}})").size(), 0u);
  EXPECT_EQ(Notes("{nodeSelector: {labels: {a: b}, nodeSelectorJson: " + json + "}}",
                  R"({"json": {"c": "d"}})")[0],
            R"(node selector {"c":"d"}: means nothing on one machine)");
  EXPECT_EQ(Notes("{nodeAffinity: [{nodeAffinityJson: " + json + "}]}",
                  R"({"json": {"requiredDuringSchedulingIgnoredDuringExecution":
                       {"nodeSelectorTerms": [{"matchFields": []}]}}})")
                .size(),
            1u);
  ExpectError("{tolerations: [{tolerationJson: {componentInputParameter: name}}]}",
              "tolerations[0].tolerationJson is \"x\"", R"({"name": "x"})");
  ExpectError("{tolerations: [{tolerationJson: " + list + "}]}", "list of objects",
              R"({"list": [1]})");
  ExpectError("{nodeSelector: {nodeSelectorJson: " + list + "}}", "object", R"({"list": [1]})");
  ExpectError("{nodeSelector: {nodeSelectorJson: " + json + "}}", "['a']", R"({"json": {"a": 1}})");
  ExpectError("{nodeAffinity: [{nodeAffinityJson: " + list + "}]}", "object", R"({"list": [1]})");
  ExpectError("{nodeAffinity: [{nodeAffinityJson: " + json + "}]}", "'wished'",
              R"({"json": {"wished": []}})");
}

// row: E238
TEST(Surroundings, FieldPaths) {
  const auto env = [](const std::string& path) {
    const Outcome outcome = Resolve(
        "{podMetadata: {labels: {a: b}}, fieldPathAsEnv:"
        " [{name: V, fieldPath: \"" +
        path + "\"}]}");
    return outcome.error.empty() ? outcome.got.env().at("V") : "error: " + outcome.error;
  };
  EXPECT_TRUE(env("metadata.name").starts_with("p-abcde-use-"));
  EXPECT_EQ(env("metadata.namespace"), "default");
  EXPECT_EQ(env("metadata.uid").size(), 36u);
  EXPECT_EQ(env("spec.nodeName"), "localhost");
  EXPECT_EQ(env("status.podIP"), "127.0.0.1");
  EXPECT_EQ(env("metadata.labels['a']"), "b");
  EXPECT_EQ(env("metadata.labels['pipeline/runid']"), "3f0e3c1e-1d1f-4a53-8a0f-0d9b7b8d6a11");
  EXPECT_EQ(env("metadata.annotations['none']"), "");
  EXPECT_NE(env("spec.shoeSize").find("metadata.name"), std::string::npos);
  EXPECT_NE(env("metadata.labels").find("error"), std::string::npos);
}

TEST(Surroundings, Timeout) {
  EXPECT_EQ(Resolve("{activeDeadlineSeconds: 90}").got.timeout_micros(), 90'000'000);
  EXPECT_EQ(Resolve("{activeDeadlineSeconds: 0}").got.timeout_micros(), 0);
  EXPECT_GT(Resolve("{activeDeadlineSeconds: 9007199254740992}").got.timeout_micros(), 0);
}

// --- TASK_CONFIG ---

constexpr char kEverything[] =
    "{secretAsEnv: [{secretName: s, keyToEnv: [{secretKey: k, envVar: V}]}],"
    " configMapAsVolume: [{configMapName: c, mountPath: /c}],"
    " pvcMount: [{constant: data, mountPath: /data, subPath: x}],"
    " fieldPathAsEnv: [{name: POD, fieldPath: metadata.name}],"
    " emptyDirMounts: [{mountPath: /e}],"
    " nodeSelector: {labels: {disk: ssd}}, tolerations: [{key: k}],"
    " nodeAffinity: [{weight: 5, matchExpressions: [{key: k, operator: Exists}]}]}";

constexpr char kContainer[] =
    "image: none, env: [{name: A, value: b}],"
    " resources: {resourceCpuLimit: '2', memoryRequest: 1.5,"
    " accelerator: {resourceType: nvidia.com/gpu, resourceCount: '1'}}";

std::string TakingConfig(const std::string& passthroughs) {
  return "inputDefinitions: {parameters: {config: {parameterType: TASK_CONFIG, isOptional: true}}}"
         "\n    taskConfigPassthroughs: [" +
         passthroughs + "]";
}

struct Passed {
  std::string config;
  v1::Surroundings applied;
};

Passed Pass(const std::string& passthroughs) {
  Scene scene(Package(kEverything, TakingConfig(passthroughs), kContainer));
  const int task = scene.Enter("sub/use");
  EXPECT_TRUE(TakesTaskConfig(scene.draft(), task));
  EXPECT_FALSE(TakesTaskConfig(scene.draft(), scene.Find("sub/make")));
  auto applied = ResolveSurroundings(scene.draft(), task);
  EXPECT_TRUE(applied.ok()) << applied.status().message();
  const auto status = PassTaskConfig(scene.draft(), task, &*applied);
  EXPECT_TRUE(status.ok()) << status.message();
  return {wire::ValueToGoJson(scene.draft().parameters(task).at("config")), *applied};
}

// row: E243
TEST(TaskConfig, NothingListed) {
  const Passed passed = Pass("");
  EXPECT_EQ(passed.config, R"({"affinity":null,"env":null,"nodeSelector":null,"resources":{},)"
                           R"("tolerations":null,"volumeMounts":null,"volumes":null})");
  EXPECT_EQ(passed.applied.env_from_keys_size(), 1);
  EXPECT_EQ(passed.applied.mounted_volumes_size(), 2);
  EXPECT_EQ(passed.applied.notes_size(), 3);
}

// row: E243
TEST(TaskConfig, EverythingPassedOn) {
  const Passed passed = Pass(
      "{field: RESOURCES}, {field: ENV}, {field: KUBERNETES_AFFINITY},"
      " {field: KUBERNETES_TOLERATIONS}, {field: KUBERNETES_NODE_SELECTOR},"
      " {field: KUBERNETES_VOLUMES}");
  EXPECT_EQ(
      passed.config,
      R"({"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":)"
      R"([{"preference":{"matchExpressions":[{"key":"k","operator":"Exists"}]},"weight":5}]}},)"
      R"("env":[{"name":"A","value":"b"},)"
      R"({"name":"V","valueFrom":{"secretKeyRef":{"key":"k","name":"s"}}},)"
      R"({"name":"POD","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],)"
      R"("nodeSelector":{"disk":"ssd"},)"
      R"("resources":{"limits":{"cpu":"2","nvidia.com/gpu":"1"},"requests":{"memory":"1.5G"}},)"
      R"("tolerations":[{"key":"k"}],)"
      R"("volumeMounts":[{"mountPath":"/data","name":"data","subPath":"x"},)"
      R"({"mountPath":"/c","name":"c"}],)"
      R"("volumes":[{"name":"data","persistentVolumeClaim":{"claimName":"data"}},)"
      R"({"configMap":{"name":"c","optional":false},"name":"c"}]})");
  EXPECT_EQ(Json(passed.applied),
            R"({"mounted_volumes":[{"mount_path":"/e"}],"notes":["given to the step as its task )"
            R"(config, not applied to it: RESOURCES, ENV, KUBERNETES_AFFINITY, )"
            R"(KUBERNETES_TOLERATIONS, KUBERNETES_NODE_SELECTOR, KUBERNETES_VOLUMES"]})");
}

// row: E243
TEST(TaskConfig, PassedOnAndApplied) {
  const Passed passed = Pass("{field: ENV, applyToTask: true}, {field: KUBERNETES_NODE_SELECTOR}");
  EXPECT_NE(passed.config.find(R"("env":[{"name":"A")"), std::string::npos);
  EXPECT_NE(passed.config.find(R"("nodeSelector":{"disk")"), std::string::npos);
  EXPECT_NE(passed.config.find(R"("volumes":null)"), std::string::npos);
  EXPECT_EQ(passed.applied.env_from_keys_size(), 1);
  EXPECT_EQ(passed.applied.env().count("POD"), 1u);
}

}  // namespace
}  // namespace caudal::engine
