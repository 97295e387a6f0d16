#include "cli/internal/extras.h"

#include <chrono>
#include <optional>
#include <utility>

#include "cli/internal/text.h"
#include "cli/internal/tree.h"

namespace caudal::cli {
namespace {

using google::protobuf::Struct;
using std::chrono::milliseconds;

constexpr milliseconds kPause{250};
constexpr int kTimeoutSeconds = 2;
constexpr size_t kMostTasks = 8;
constexpr int64_t kEndBytes = 4096;
// An estimate is of no use for a run that ends before anybody has read it.
constexpr size_t kRoundsBeforeEstimate = 4;
constexpr size_t kRunsLookedThrough = 20;

const google::protobuf::Value* Find(const Struct& fields, const std::string& name) {
  const auto found = fields.fields().find(name);
  return found == fields.fields().end() ? nullptr : &found->second;
}

// What two runs of one pipeline have in common; empty for a run that does not tell.
std::string PipelineOf(const v2beta1::Run& run) {
  const std::string& id = run.pipeline_version_reference().pipeline_id();
  if (!id.empty()) return "id " + id;
  const Struct* spec = &run.pipeline_spec();
  const google::protobuf::Value* inner = Find(*spec, "pipeline_spec");
  if (inner != nullptr && inner->has_struct_value()) spec = &inner->struct_value();
  const google::protobuf::Value* info = Find(*spec, "pipelineInfo");
  if (info == nullptr) return "";
  const google::protobuf::Value* name = Find(info->struct_value(), "name");
  return name == nullptr ? "" : "name " + name->string_value();
}

}  // namespace

Timeline FindTimeline(Api& api, const std::string& run_id) {
  const auto run = api.GetRun(run_id);
  if (!run.ok() || PipelineOf(*run).empty()) return {};
  ListQuery query;
  query.limit = kRunsLookedThrough;
  Where("state", v2beta1::Predicate::EQUALS, "SUCCEEDED", &query.filter);
  const auto runs = api.ListRuns(query);
  if (!runs.ok()) return {};
  for (const v2beta1::Run& before : *runs) {
    if (before.run_id() == run_id || PipelineOf(before) != PipelineOf(*run)) continue;
    const auto report = api.GetReport(before.run_id(), 0, 0);
    return report.ok() ? TimelineOf(*report) : Timeline();
  }
  return {};
}

ExtrasFetcher::ExtrasFetcher(std::string run_id, Progress* progress)
    : run_id_(std::move(run_id)), progress_(progress) {
  if (progress_->form() == Progress::Form::kTree) thread_ = std::thread([this] { Run(); });
}

ExtrasFetcher::~ExtrasFetcher() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_stopping_ = true;
  }
  stopping_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ExtrasFetcher::Update(const v1::RunReport& report, const std::string& url) {
  if (!thread_.joinable()) return;
  std::vector<std::string> tasks = TasksWithLiveLog(report, kMostTasks);
  const std::lock_guard<std::mutex> lock(mutex_);
  tasks_ = std::move(tasks);
  is_final_ = report.is_final();
  url_ = url;
}

void ExtrasFetcher::Run() {
  std::optional<Api> api;
  for (size_t round = 0;; ++round) {
    std::vector<std::string> tasks;
    bool is_final = false;
    std::string url;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (stopping_.wait_for(lock, kPause, [this] { return is_stopping_; })) return;
      tasks = tasks_;
      is_final = is_final_;
      url = url_;
    }
    if (url.empty() || is_final) continue;
    if (!api || api->url() != url) api.emplace(url);
    if (round == kRoundsBeforeEstimate) {
      Timeline before = FindTimeline(*api, run_id_);
      if (!before.spans.empty()) progress_->SetTimeline(std::move(before));
    }
    FetchLastLine(*api, tasks, round);
  }
}

void ExtrasFetcher::FetchLastLine(Api& api, const std::vector<std::string>& tasks, size_t round) {
  if (tasks.empty()) return;
  const std::string& task = tasks[round % tasks.size()];
  const auto end = api.GetLogEnd(run_id_, task, kEndBytes, kTimeoutSeconds);
  if (end.ok()) progress_->SetLastLine(task, LastShownLine(*end));
}

}  // namespace caudal::cli
