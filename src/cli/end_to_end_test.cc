#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"

// The real binary with the real server behind it, in a data directory of its own.

namespace caudal::cli {
namespace {

constexpr std::chrono::seconds kPatience{60};

/// A pipeline of one step that runs `script` with an output parameter's file as $0.
std::string Pipeline(const std::string& script) {
  return R"(
pipelineInfo: {name: say}
schemaVersion: 2.1.0
sdkVersion: kfp-2.14.0
deploymentSpec:
  executors:
    exec-say:
      container:
        image: busybox
        command: [sh, -c, )" +
         boost::json::serialize(boost::json::string(script)) + R"(]
        args: ["{{$.outputs.parameters['n'].output_file}}", "{{$.inputs.parameters['text']}}"]
components:
  comp-say:
    executorLabel: exec-say
    inputDefinitions: {parameters: {text: {parameterType: STRING}}}
    outputDefinitions: {parameters: {n: {parameterType: NUMBER_INTEGER}}}
root:
  inputDefinitions: {parameters: {text: {parameterType: STRING, defaultValue: hi}}}
  outputDefinitions: {parameters: {n: {parameterType: NUMBER_INTEGER}}}
  dag:
    tasks:
      say:
        componentRef: {name: comp-say}
        taskInfo: {name: say}
        inputs: {parameters: {text: {componentInputParameter: text}}}
    outputs:
      parameters:
        n: {valueFromParameter: {producerSubtask: say, outputParameterKey: n}}
)";
}

struct Ended {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class EndToEnd : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/caudal_cli_XXXXXX";
    root_ = mkdtemp(name);
    data_dir_ = root_ + "/data";
    unsetenv("CAUDAL_SERVER");
  }

  void TearDown() override {
    Run({"server", "stop", "--data-dir", data_dir_});
    EXPECT_TRUE(base::RemoveTree(root_).ok());
  }

  std::string Write(const std::string& script) {
    const std::string path = root_ + "/say.yaml";
    EXPECT_TRUE(base::WriteFileAtomic(path, Pipeline(script)).ok());
    return path;
  }

  std::vector<std::string> RunWords(const std::string& file,
                                    const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"run",     file,          "--data-dir",
                                      data_dir_, "--isolation", "process"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  void Start(const std::vector<std::string>& words) {
    out_ = root_ + "/out";
    err_ = root_ + "/err";
    std::vector<std::string> command = {CAUDAL_BINARY};
    command.insert(command.end(), words.begin(), words.end());
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    child_ = fork();
    ASSERT_GE(child_, 0);
    if (child_ != 0) return;
    dup2(open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
    dup2(open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    execv(argv[0], argv.data());
    _exit(127);
  }

  Ended Wait() {
    int status = 0;
    const auto deadline = std::chrono::steady_clock::now() + 2 * kPatience;
    while (waitpid(child_, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "the command does not end; it said: " << Text(err_);
        kill(child_, SIGKILL);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, Text(out_), Text(err_)};
  }

  Ended Run(const std::vector<std::string>& words) {
    Start(words);
    return Wait();
  }

  void AwaitError(const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (Text(err_).find(text) == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "still: " << Text(err_);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  static std::string Text(const std::string& path) {
    const auto text = base::ReadFile(path);
    return text.ok() ? *text : "";
  }

  pid_t ServerPid() const {
    const boost::json::value lock = boost::json::parse(Text(data_dir_ + "/lock"));
    return static_cast<pid_t>(lock.at("pid").as_int64());
  }

  pid_t child_ = 0;
  std::string root_;
  std::string data_dir_;
  std::string out_;
  std::string err_;
};

TEST_F(EndToEnd, RunPrintsOutputs) {
  const Ended ended = Run(RunWords(Write("echo 42 > $0")));
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_NE(ended.out.find("outputs\n  n  42\n"), std::string::npos) << ended.out;
  EXPECT_NE(ended.err.find("✓ say succeeded"), std::string::npos) << ended.err;
}

TEST_F(EndToEnd, JsonIsOneObjectOnStandardOutput) {
  const Ended ended =
      Run(RunWords(Write("echo $(expr length \"$1\") > $0"), {"--json", "-p", "text=four"}));
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const boost::json::value json = boost::json::parse(ended.out);
  EXPECT_EQ(json.at("state"), "SUCCEEDED");
  EXPECT_EQ(json.at("outputs").at("n"), 4);
  EXPECT_TRUE(json.at("error").is_null());
  EXPECT_EQ(json.at("tasks").at(0).at("path"), "say");
  EXPECT_EQ(json.at("tasks").at(0).at("attempts"), 1);
}

TEST_F(EndToEnd, AFailedRunShowsItsLastWordsAndExitsWithOne) {
  const Ended ended = Run(RunWords(Write("echo first; echo it broke; exit 7")));
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_EQ(ended.out, "");
  EXPECT_NE(ended.err.find("    it broke\n"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("exit 7"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("caudal run " + root_), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("caudal run retry "), std::string::npos) << ended.err;
}

TEST_F(EndToEnd, WrongInputStartsNoServer) {
  const std::string file = Write("true");
  EXPECT_EQ(Run(RunWords(file, {"-p", "txet=x"})).exit_code, 2);
  EXPECT_EQ(Text(err_), "caudal: the pipeline has no parameter 'txet', did you mean 'text'?\n");
  EXPECT_EQ(Run(RunWords(root_ + "/absent.yaml")).exit_code, 2);
  EXPECT_EQ(Text(err_), "caudal: '" + root_ + "/absent.yaml' does not exist\n");
  EXPECT_FALSE(base::PathExists(data_dir_));
}

TEST_F(EndToEnd, AServerThatDoesNotAnswerIsUnreachable) {
  // Nothing listens on port 1 of the loopback device.
  const Ended ended = Run({"run", Write("true"), "--server", "http://127.0.0.1:1"});
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_EQ(ended.err.rfind("caudal: no server answers at http://127.0.0.1:1: ", 0), 0u)
      << ended.err;
}

TEST_F(EndToEnd, AnInterruptCancelsTheRun) {
  Start(RunWords(Write("exec sleep 1000")));
  AwaitError("◐ say running");
  ASSERT_EQ(kill(child_, SIGINT), 0);
  const Ended ended = Wait();
  EXPECT_EQ(ended.exit_code, 130) << ended.err;
  EXPECT_NE(ended.err.find("✗ say canceled"), std::string::npos) << ended.err;
}

TEST_F(EndToEnd, TheRunGoesOnWhenItsServerIsKilled) {
  Start(RunWords(Write("while ! test -e " + root_ + "/go; do sleep 0.01; done; echo 1 > $0")));
  AwaitError("◐ say running");
  const pid_t server = ServerPid();
  ASSERT_EQ(kill(server, SIGKILL), 0);
  ASSERT_TRUE(base::WriteFileAtomic(root_ + "/go", "").ok());
  const Ended ended = Wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_NE(ServerPid(), server);
}

TEST_F(EndToEnd, ForegroundLeavesNoServer) {
  const Ended ended = Run(RunWords(Write("echo 1 > $0"), {"--foreground"}));
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  const Ended status = Run({"server", "status", "--data-dir", data_dir_});
  EXPECT_EQ(status.exit_code, 3);
  EXPECT_EQ(status.out, "no server runs for " + data_dir_ + "\n");
}

TEST_F(EndToEnd, DetachReturnsTheRunId) {
  const Ended ended = Run(RunWords(Write("echo 1 > $0"), {"--detach", "-e", "mine"}));
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out.size(), 37u) << ended.out;
}

TEST_F(EndToEnd, AServerStartedOtherwiseIsNamed) {
  const std::string file = Write("echo 1 > $0");
  ASSERT_EQ(Run(RunWords(file)).exit_code, 0);
  const std::string mount = root_ + ":/here";
  const Ended ended = Run(RunWords(file, {"--mount", mount}));
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_EQ(ended.err, "caudal: the server that runs (pid " + std::to_string(ServerPid()) +
                           ") was started without --mount " + mount +
                           ": stop it first, caudal server stop --data-dir " + data_dir_ + "\n");
}

TEST_F(EndToEnd, AServerThatRunsTakesTheSettingsOfEachRun) {
  const std::string file = Write("echo ${#TOKEN} > $0");
  ASSERT_EQ(Run(RunWords(file, {"--env", "TOKEN="})).exit_code, 0);
  const pid_t server = ServerPid();
  const Ended ended = Run(RunWords(file, {"--kfp-package", "kfp==2.0", "--env", "TOKEN=abc"}));
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_NE(ended.out.find("3"), std::string::npos) << ended.out;
  EXPECT_EQ(ServerPid(), server);
}

TEST_F(EndToEnd, ServerStopSaysWhenThereIsNone) {
  ASSERT_EQ(Run(RunWords(Write("echo 1 > $0"))).exit_code, 0);
  EXPECT_EQ(Run({"server", "status", "--data-dir", data_dir_}).exit_code, 0);
  const Ended first = Run({"server", "stop", "--data-dir", data_dir_});
  EXPECT_EQ(first.exit_code, 0);
  EXPECT_EQ(first.err.rfind("stopped the server of " + data_dir_, 0), 0u) << first.err;
  const Ended second = Run({"server", "stop", "--data-dir", data_dir_});
  EXPECT_EQ(second.exit_code, 0);
  EXPECT_EQ(second.err, "no server runs for " + data_dir_ + "\n");
}

TEST_F(EndToEnd, EveryVerbHasHelp) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--help"}, {"run", "--help"}, {"server", "stop", "-h"}}) {
    const Ended ended = Run(words);
    EXPECT_EQ(ended.exit_code, 0);
    EXPECT_NE(ended.out.find("Examples"), std::string::npos);
  }
  EXPECT_EQ(Run({"rnu"}).exit_code, 2);
  EXPECT_EQ(Text(err_), "caudal: unknown command 'rnu', did you mean 'run'?\n");
}

}  // namespace
}  // namespace caudal::cli
