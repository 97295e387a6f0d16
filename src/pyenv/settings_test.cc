#include "pyenv/internal/settings.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "pyenv/internal/installer.h"

namespace caudal::pyenv::internal {
namespace {

using Words = std::vector<std::string>;

Words UvWords(const Settings& settings) {
  std::string unknown;
  const auto uv = ForUv(settings, &unknown);
  return uv ? uv->words : Words{"no uv, because of " + unknown};
}

TEST(PipOptions, LaterAndNearerWin) {
  const auto options =
      PipOptions({{kSystemPipConfig, "[global]\nindex-url = https://system\ncert=/c.pem\n"},
                  {kPipConfig,
                   "# mine\n[install]\nfind_links =\n    /one\n    /two\n[global]\nindex-url: "
                   "https://mine\nfind-links = /never\n[freeze]\npre = true\n"},
                  {"PIP_CERT", "/d.pem"}});

  EXPECT_EQ(options,
            (std::map<std::string, std::string>{
                {"index-url", "https://mine"}, {"cert", "/d.pem"}, {"find-links", " /one /two"}}));
}

TEST(PipOptions, OneFileCanStandForAll) {
  const Settings settings = {{kPipConfig, "[global]\nindex-url = https://mine\n"},
                             {"PIP_CONFIG_FILE", "/dev/null"}};

  EXPECT_EQ(PipOptions(settings).count("index-url"), 0u);
}

TEST(ForUv, SaysWhatPipWouldHaveRead) {
  EXPECT_EQ(
      UvWords({{"PIP_EXTRA_INDEX_URL", "https://a https://b"},
               {"PIP_CONSTRAINT", "/c.txt"},
               {"PIP_NO_INDEX", "1"},
               {"PIP_PRE", "0"},
               {"PIP_ONLY_BINARY", ":all:"},
               {"PIP_FIND_LINKS", "/wheels"}}),
      (Words{"--constraint", "/c.txt", "--extra-index-url", "https://a", "--extra-index-url",
             "https://b", "--find-links", "/wheels", "--no-index", "--only-binary", ":all:"}));
}

TEST(ForUv, ItsOwnWordsComeFirst) {
  EXPECT_EQ(UvWords({{"PIP_INDEX_URL", "https://pip"}, {"UV_DEFAULT_INDEX", "https://uv"}}),
            Words{});
}

TEST(ForUv, DoesNotGuess) {
  EXPECT_EQ(UvWords({{kPipConfig, "[install]\nrequire-hashes = true\n"}}),
            Words{"no uv, because of require-hashes"});
  EXPECT_EQ(UvWords({{kPipConfig, "[global]\nquiet = 1\nno-warn-script-location = 1\n"}}), Words{});
}

TEST(ForUv, TellsNetworkSettingsAsVariables) {
  std::string unknown;
  const auto uv = ForUv({{"PIP_CERT", "/c.pem"}, {"PIP_DEFAULT_TIMEOUT", "15.5"}}, &unknown);

  ASSERT_TRUE(uv);
  EXPECT_EQ(uv->env, (Words{"SSL_CERT_FILE=/c.pem", "UV_HTTP_TIMEOUT=15"}));
}

TEST(InstallerWords, AreTheCallInOrder) {
  Installer installer;
  const PipCall call{{"--no-deps", "--trusted-host", "h", "--prefer-binary"}, {"a==1", "b"}};

  const Words pip = installer.Words(call, "/venv");
  EXPECT_EQ(Words(pip.end() - 6, pip.end()),
            (Words{"--no-deps", "--trusted-host", "h", "--prefer-binary", "a==1", "b"}));

  installer.uv = "/bin/uv";
  installer.settings = {{"PIP_NO_INDEX", "true"}};
  const Words uv = installer.Words(call, "/venv");
  EXPECT_EQ(uv[0], "/bin/uv");
  EXPECT_EQ(Words(uv.end() - 6, uv.end()),
            (Words{"--no-index", "--no-deps", "--allow-insecure-host", "h", "a==1", "b"}));
}

TEST(MaskSecrets, HidesWhoAndPassword) {
  EXPECT_EQ(MaskSecrets("from https://me:s3cret@host/simple, http://host2/a@b"),
            "from https://***@host/simple, http://host2/a@b");
  EXPECT_EQ(MaskSecrets("https://token@host"), "https://***@host");
  EXPECT_EQ(MaskSecrets("no address"), "no address");
}

}  // namespace
}  // namespace caudal::pyenv::internal
