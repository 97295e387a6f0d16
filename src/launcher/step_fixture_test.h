#pragma once

/// A data directory, an attempt, and the hands of a step: what the launcher's tests share.

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "launcher/launcher.h"
#include "wire/json.h"

namespace caudal::launcher {

class StepTest : public testing::Test {
 protected:
  static constexpr char kTaskRoot[] = "minio://mlpipeline/v2/artifacts/pipe/run-1/train/u";
  static constexpr char kTaskKey[] = "v2/artifacts/pipe/run-1/train/u";

  void SetUp() override {
    char path[] = "/tmp/caudal-launcher-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    layout_.data_dir = path;
    spec_.set_attempt_key(258);
    spec_.set_token("t0ken");
    spec_.set_run_id("run-1");
    spec_.set_task_id("6ba7b810-9dad-51d1-80b4-00c04fd430c8");
    spec_.set_task_root(kTaskRoot);
    spec_.mutable_job()->set_pipeline_root("minio://mlpipeline/v2/artifacts/?region=x");
    spec_.mutable_job()->set_pipeline_name("pipe");
    spec_.mutable_container()->add_command("true");
    exit_.set_started(true);
  }

  void TearDown() override { EXPECT_TRUE(base::RemoveTree(layout_.data_dir).ok()); }

  /// Output definitions as JSON: {"artifacts": …, "parameters": …}.
  void Declare(const std::string& outputs) {
    const base::Status read =
        wire::FromJsonText(outputs, spec_.mutable_component()->mutable_output_definitions());
    ASSERT_TRUE(read.ok()) << read.ToString();
  }

  /// A published input artifact. Content "" makes a directory.
  void AddInput(const std::string& name, const std::string& uri, const std::string& blob,
                const std::string& content) {
    v1::Artifact& artifact = *(*spec_.mutable_artifacts())[name].add_artifacts();
    artifact.set_key(7);
    artifact.set_uri(uri);
    artifact.set_blob(blob);
    artifact.set_is_directory(content.empty());
    if (content.empty()) {
      ASSERT_TRUE(base::MakeDirs(layout_.BlobPath(blob)).ok());
    } else {
      Write(layout_.BlobPath(blob), content);
    }
  }

  void StageStep(bool sandbox) {
    auto view = Stage(layout_, spec_, sandbox);
    ASSERT_TRUE(view.ok()) << view.status().ToString();
    view_ = *std::move(view);
  }

  v1::AttemptOutcome CollectStep() { return Collect(layout_, spec_, view_, exit_); }

  std::string Work(const std::string& path) const { return layout_.WorkDir(258) + "/" + path; }
  std::string Output(const std::string& path) const { return Work("outputs/" + path); }
  std::string Blob(const std::string& path) const { return layout_.BlobDir(258) + "/" + path; }

  static void Write(const std::string& path, const std::string& content) {
    ASSERT_TRUE(base::MakeDirs(std::filesystem::path(path).parent_path().string()).ok());
    std::ofstream(path) << content;
    ASSERT_TRUE(base::PathExists(path)) << path;
  }

  static std::string Read(const std::string& path) {
    return base::ReadFile(path).ok() ? *base::ReadFile(path) : "(cannot read " + path + ")";
  }

  static bool Has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  Layout layout_;
  v1::AttemptSpec spec_;
  v1::StepExit exit_;
  View view_;
};

}  // namespace caudal::launcher
