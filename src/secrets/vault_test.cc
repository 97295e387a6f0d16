#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <thread>

#include "base/file.h"
#include "secrets/secrets.h"

namespace caudal::secrets {
namespace {

class VaultTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/caudal-vault-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    data_dir_ = path;
  }
  void TearDown() override { EXPECT_TRUE(base::RemoveTree(data_dir_).ok()); }

  static mode_t ModeOf(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }

  std::string data_dir_;
};

TEST_F(VaultTest, GivesBackWhatWasSet) {
  Vault vault(data_dir_);
  const std::map<std::string, std::string> values = {
      {"password", "a\nb"}, {"empty", ""}, {"bytes", std::string("\0\xff 7 x\n", 7)}};

  ASSERT_TRUE(vault.Set(Kind::kSecret, "db-login", values, false, 5).ok());

  const auto set = Vault(data_dir_).Get(Kind::kSecret, "db-login");
  ASSERT_TRUE(set.ok()) << set.status().ToString();
  EXPECT_EQ(set->values, values);
  EXPECT_EQ(set->updated_at, 5);
  EXPECT_EQ(vault.Get(Kind::kConfigMap, "db-login").status().code(), base::Code::kNotFound);
}

TEST_F(VaultTest, LaysOverOrReplaces) {
  Vault vault(data_dir_);
  ASSERT_TRUE(vault.Set(Kind::kConfigMap, "x", {{"a", "1"}, {"b", "2"}}, false, 1).ok());

  const auto over = vault.Set(Kind::kConfigMap, "x", {{"b", "3"}}, false, 2);
  const std::map<std::string, std::string> both = {{"a", "1"}, {"b", "3"}};
  ASSERT_TRUE(over.ok());
  EXPECT_EQ(over->values, both);

  const auto replaced = vault.Set(Kind::kConfigMap, "x", {{"c", "4"}}, true, 3);
  const std::map<std::string, std::string> one = {{"c", "4"}};
  ASSERT_TRUE(replaced.ok());
  EXPECT_EQ(replaced->values, one);
  EXPECT_EQ(vault.Get(Kind::kConfigMap, "x")->values, one);
}

TEST_F(VaultTest, OnlyTheOwnerMayRead) {
  const mode_t before = umask(0);
  Vault vault(data_dir_);
  ASSERT_TRUE(vault.Set(Kind::kSecret, "s", {{"k", "v"}}, false, 1).ok());
  ASSERT_TRUE(vault.Set(Kind::kConfigMap, "c", {{"k", "v"}}, false, 1).ok());
  umask(before);

  EXPECT_EQ(ModeOf(data_dir_ + "/secrets"), 0700u);
  EXPECT_EQ(ModeOf(data_dir_ + "/secrets/s"), 0600u);
  EXPECT_EQ(ModeOf(data_dir_ + "/configmaps"), 0700u);
  EXPECT_EQ(ModeOf(data_dir_ + "/configmaps/c"), 0600u);
}

TEST_F(VaultTest, ListsByNameWithoutDrafts) {
  Vault vault(data_dir_);
  EXPECT_TRUE(vault.List(Kind::kSecret)->empty());
  ASSERT_TRUE(vault.Set(Kind::kSecret, "b", {}, false, 1).ok());
  ASSERT_TRUE(vault.Set(Kind::kSecret, "a.tmp", {}, false, 1).ok());
  ASSERT_TRUE(base::WriteFileAtomic(data_dir_ + "/secrets/.draft-1", "half").ok());

  const auto sets = vault.List(Kind::kSecret);

  ASSERT_TRUE(sets.ok()) << sets.status().ToString();
  ASSERT_EQ(sets->size(), 2u);
  EXPECT_EQ(sets->at(0).name, "a.tmp");
  EXPECT_EQ(sets->at(1).name, "b");
}

TEST_F(VaultTest, DeletesOnce) {
  Vault vault(data_dir_);
  ASSERT_TRUE(vault.Set(Kind::kSecret, "a", {{"k", "v"}}, false, 1).ok());

  EXPECT_TRUE(vault.Delete(Kind::kSecret, "a").ok());

  EXPECT_EQ(vault.Get(Kind::kSecret, "a").status().code(), base::Code::kNotFound);
  EXPECT_EQ(vault.Delete(Kind::kSecret, "a").message(), "secret 'a' does not exist");
}

TEST_F(VaultTest, NamesFollowKubernetes) {
  for (const char* good : {"a", "0", "a-b", "a.b", "my-secret-1.example.com"}) {
    EXPECT_TRUE(IsName(good)) << good;
  }
  EXPECT_TRUE(IsName(std::string(253, 'a')));
  for (const char* bad :
       {"", "A", "a_b", "-a", "a-", ".a", "a.", "a..b", "a.-b", "../x", "a/b", "ä"}) {
    EXPECT_FALSE(IsName(bad)) << bad;
    EXPECT_EQ(Vault(data_dir_).Get(Kind::kSecret, bad).status().code(),
              base::Code::kInvalidArgument);
  }
  EXPECT_FALSE(IsName(std::string(254, 'a')));
  EXPECT_TRUE(Vault(data_dir_).Set(Kind::kSecret, std::string(253, 'a'), {}, false, 1).ok());
}

TEST_F(VaultTest, RefusesKeysAndSizesWithoutTellingValues) {
  Vault vault(data_dir_);
  for (const char* bad : {"", "a b", "a/b", ".", "..", "..a", "ä"}) {
    const auto set = vault.Set(Kind::kSecret, "s", {{bad, "hunter2"}}, false, 1);
    EXPECT_EQ(set.status().code(), base::Code::kInvalidArgument) << bad;
    EXPECT_EQ(set.status().message().find("hunter2"), std::string::npos);
  }
  ASSERT_TRUE(vault.Set(Kind::kSecret, "s", {{"a", std::string(600'000, 'q')}}, false, 1).ok());

  const auto large = vault.Set(Kind::kSecret, "s", {{"b", std::string(600'000, 'q')}}, false, 1);

  EXPECT_EQ(large.status().code(), base::Code::kInvalidArgument);
  EXPECT_LT(large.status().message().size(), 200u);
  EXPECT_EQ(vault.Get(Kind::kSecret, "s")->values.size(), 1u) << "the old set must stay";
}

TEST_F(VaultTest, ADamagedFileIsNamedAndNotShown) {
  Vault vault(data_dir_);
  ASSERT_TRUE(vault.Set(Kind::kSecret, "s", {{"k", "hunter2"}}, false, 1).ok());
  const std::string path = data_dir_ + "/secrets/s";
  const std::string whole = *base::ReadFile(path);
  for (size_t length = 0; length < whole.size(); ++length) {
    ASSERT_TRUE(base::WriteFileAtomic(path, whole.substr(0, length)).ok());
    const auto set = vault.Get(Kind::kSecret, "s");
    if (set.ok()) {
      EXPECT_TRUE(set->values.empty()) << length;  // the header alone is an empty set
      continue;
    }
    EXPECT_EQ(set.status().code(), base::Code::kDataLoss);
    EXPECT_EQ(set.status().message().find("hunter"), std::string::npos);
  }
}

TEST_F(VaultTest, WritersAtTheSameTimeLoseNothing) {
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([this, i] {
      Vault vault(data_dir_);
      EXPECT_TRUE(vault.Set(Kind::kSecret, "s", {{"k" + std::to_string(i), "v"}}, false, i).ok());
    });
  }
  for (std::thread& writer : writers) writer.join();

  EXPECT_EQ(Vault(data_dir_).Get(Kind::kSecret, "s")->values.size(), 8u);
}

}  // namespace
}  // namespace caudal::secrets
