#include <gtest/gtest.h>

#include "engine/attempt.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

/// A container component with one optional input `d` of default "x".
class Resources : public testing::Test {
 protected:
  Resources() {
    auto& input = (*spec_.mutable_input_definitions()->mutable_parameters())["d"];
    input.mutable_default_value()->set_string_value("x");
    component_.spec = &spec_;
  }
  void Set(const std::string& container) {
    const auto status = wire::FromJsonText(container, component_.executor.mutable_container());
    ASSERT_TRUE(status.ok()) << status.message();
  }
  void Give(const std::string& name, const std::string& json) {
    ASSERT_TRUE(wire::FromJsonText(json, &parameters_[name]).ok());
  }
  std::string Got() const {
    const auto resources = ResolveResources(component_, parameters_);
    return resources.ok() ? wire::ToJson(*resources, wire::FieldNames::kSnakeCase)
                          : resources.status().message();
  }
  std::string Image() const {
    const auto image = ResolveImage(component_, parameters_);
    return image.ok() ? *image : image.status().message();
  }

  ml_pipelines::ComponentSpec spec_;
  spec::Component component_;
  google::protobuf::Map<std::string, google::protobuf::Value> parameters_;
};

// row: E225
TEST_F(Resources, Literals) {
  Set(R"({"resources": {"resourceCpuLimit": "500m", "cpuLimit": 9, "resourceCpuRequest": "0.1",
          "resourceMemoryLimit": "1Gi"}})");
  EXPECT_EQ(Got(), R"({"cpu_request_milli":"100","cpu_limit_milli":"500",)"
                   R"("memory_request_bytes":"1073741824","memory_limit_bytes":"1073741824"})");
  Set(R"({"resources": {"cpuLimit": 0.5, "memoryRequest": 1.5}})");
  EXPECT_EQ(Got(), R"({"cpu_request_milli":"500","cpu_limit_milli":"500",)"
                   R"("memory_request_bytes":"1500000000"})");
  Set(R"({"resources": {"resourceCpuLimit": "much"}})");
  EXPECT_EQ(Got(), "CPU limit \"much\" is no quantity; write for example \"500m\" or \"2Gi\"");
  Set("{}");
  EXPECT_EQ(Got(), "{}");
}

// row: E226
TEST_F(Resources, FromParameters) {
  Set(R"({"resources": {"resourceCpuLimit": "{{$.inputs.parameters['cpu']}}",
          "resourceMemoryLimit": "{{$.inputs.parameters[\"memory\"]}}Gi"}})");
  EXPECT_EQ(Got(), "CPU limit needs input 'cpu', which has no value");
  Give("cpu", "2");
  Give("memory", "\"3\"");
  EXPECT_EQ(Got(), R"({"cpu_request_milli":"2000","cpu_limit_milli":"2000",)"
                   R"("memory_request_bytes":"3221225472","memory_limit_bytes":"3221225472"})");
  Give("cpu", "0.25");
  EXPECT_NE(Got().find("\"250\""), std::string::npos);
  Give("cpu", "true");
  EXPECT_NE(Got().find("\"true\" is no quantity"), std::string::npos);
}

// row: E227
TEST_F(Resources, Accelerator) {
  Set(R"({"resources": {"accelerator": {"type": "gpu", "count": 2}}})");
  EXPECT_EQ(Got(), R"({"accelerator_type":"gpu","accelerator_count":"2"})");
  Set(R"({"resources": {"accelerator": {"type": "old", "count": 2, "resourceType": "new",
          "resourceCount": "{{$.inputs.parameters['n']}}"}}})");
  Give("n", "1");
  EXPECT_EQ(Got(), R"({"accelerator_type":"new","accelerator_count":"1"})");
  Set(R"({"resources": {"accelerator": {"resourceType": "gpu"}}})");
  EXPECT_EQ(Got(), "{}");
  Set(R"({"resources": {"accelerator": {"resourceCount": "3"}}})");
  EXPECT_EQ(Got(), "{}");
}

// row: E228
TEST_F(Resources, Image) {
  Set(R"({"image": "repo/{{$.inputs.parameters['name']}}:{{$.inputs.parameters['tag']}}-slim"})");
  EXPECT_EQ(Image(), "image needs input 'name', which has no value");
  Give("name", "\"{{$.inputs.parameters['tag']}}\"");
  Give("tag", "3");
  EXPECT_EQ(Image(), "repo/{{$.inputs.parameters['tag']}}:3-slim") << "values are not scanned";
  Set(R"({"image": "a:{{$.inputs.parameters['d']}}"})");
  EXPECT_EQ(Image(), "a:x") << "a default counts";
  for (const char* odd : {"{{$.inputs.parameters[", "{{$.inputs.parameters['x", "{{$.other}}"}) {
    component_.executor.mutable_container()->set_image(odd);
    EXPECT_EQ(Image(), odd);
  }
}

}  // namespace
}  // namespace caudal::engine
