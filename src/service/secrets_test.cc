#include "secrets/secrets.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/testing/fake_clock.h"
#include "executor/testing/fake_executor.h"
#include "service/service.h"

namespace caudal::service {
namespace {

using base::Code;

class SecretsTest : public testing::Test {
 protected:
  SecretsTest() {
    Options options{"/data", "process"};
    options.vault = &vault_;
    service_ = std::make_unique<Service>(*store_, orchestrator_, clock_, options);
  }

  ~SecretsTest() override { std::filesystem::remove_all(dir_); }

  v1::SetKeysRequest Request(const std::string& name, const std::string& key,
                             const std::string& value) {
    v1::SetKeysRequest request;
    request.set_name(name);
    (*request.mutable_values())[key] = value;
    return request;
  }

  static std::string NewDir() {
    std::string path = testing::TempDir() + "/secrets-XXXXXX";
    return mkdtemp(path.data());
  }

  const std::string dir_ = NewDir();
  secrets::Vault vault_{dir_};
  base::FakeClock clock_;
  executor::FakeExecutor executor_;
  std::unique_ptr<store::Store> store_ = *store::Store::Open(":memory:");
  orchestrator::Orchestrator orchestrator_{*store_, executor_, clock_, [] { return "salt"; }};
  std::unique_ptr<Service> service_;
  Caller caller_{auth::LocalUser(), "test"};
};

TEST_F(SecretsTest, ASecretsValuesAreNeverShown) {
  const auto set = service_->SetSecret(caller_, Request("registry", "token", "hunter2"));
  ASSERT_TRUE(set.ok()) << set.status().ToString();
  EXPECT_EQ(set->keys(0), "token");
  const auto more = service_->SetSecret(caller_, Request("registry", "user", "ann"));
  EXPECT_EQ(more->keys_size(), 2);
  const auto listed = service_->ListSecrets(caller_, {});
  ASSERT_EQ(listed->sets_size(), 1);
  for (const std::string& text :
       {set->SerializeAsString(), more->SerializeAsString(), listed->SerializeAsString()}) {
    EXPECT_EQ(text.find("hunter2"), std::string::npos);
  }
  EXPECT_EQ(vault_.Get(secrets::Kind::kSecret, "registry")->values.at("token"), "hunter2");
}

TEST_F(SecretsTest, AConfigMapsValuesAre) {
  const auto set = service_->SetConfigMap(caller_, Request("app", "mode", "fast"));
  ASSERT_TRUE(set.ok()) << set.status().ToString();
  EXPECT_EQ(set->values().at("mode"), "fast");
  EXPECT_EQ(service_->ListSecrets(caller_, {})->sets_size(), 0);
  v1::DeleteKeySetRequest remove;
  remove.set_name("app");
  EXPECT_EQ(service_->DeleteSecret(caller_, remove).code(), Code::kNotFound);
  EXPECT_TRUE(service_->DeleteConfigMap(caller_, remove).ok());
  EXPECT_EQ(service_->ListConfigMaps(caller_, {})->sets_size(), 0);
}

TEST_F(SecretsTest, NoErrorHoldsAValue) {
  for (const auto& request :
       {Request("Bad Name", "token", "hunter2"), Request("good", "bad key", "hunter2"),
        Request("good", "token", "hunter2" + std::string(2 << 20, 'x'))}) {
    const auto set = service_->SetSecret(caller_, request);
    ASSERT_EQ(set.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(set.status().message().find("hunter2"), std::string::npos);
  }
  EXPECT_EQ(service_->SetSecret({{"ann", false}, "test"}, Request("a", "b", "c")).status().code(),
            Code::kPermissionDenied);
}

}  // namespace
}  // namespace caudal::service
