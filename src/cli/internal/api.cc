#include "cli/internal/api.h"

#include <boost/json.hpp>

#include "cli/internal/live_report.h"
#include "wire/json.h"

namespace caudal::cli {
namespace {

constexpr char kV2[] = "/apis/v2beta1";
constexpr char kOwn[] = "/apis/caudal/v1";
// Neither side holds the text of a long run at once.
constexpr int kTasksPerPage = 5000;

base::Code CodeOfHttp(int status) {
  switch (status) {
    case 400:
      return base::Code::kInvalidArgument;
    case 401:
      return base::Code::kUnauthenticated;
    case 403:
      return base::Code::kPermissionDenied;
    case 404:
      return base::Code::kNotFound;
    case 409:
      return base::Code::kAlreadyExists;
    case 429:
      return base::Code::kResourceExhausted;
    case 503:
      return base::Code::kUnavailable;
    default:
      return base::Code::kInternal;
  }
}

// The server's words from an error body, or the bare status when it is none of ours.
base::Status ErrorOf(const http::ClientResponse& response) {
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(response.body, error);
  if (!error && json.is_object()) {
    const boost::json::value* code = json.get_object().if_contains("code");
    const boost::json::value* message = json.get_object().if_contains("message");
    if (code != nullptr && code->is_int64() && code->get_int64() > 0 && code->get_int64() <= 16 &&
        message != nullptr && message->is_string()) {
      return {static_cast<base::Code>(code->get_int64()), std::string(message->get_string())};
    }
  }
  return {CodeOfHttp(response.status),
          "the server answered HTTP " + std::to_string(response.status)};
}

}  // namespace

base::Status Api::Call(std::string_view method, const std::string& target, const std::string& body,
                       google::protobuf::Message* reply, int timeout_seconds) {
  CAUDAL_ASSIGN(const http::ClientResponse response,
                client_.Send(method, target, body, timeout_seconds));
  if (response.status < 200 || response.status > 299) return ErrorOf(response);
  if (reply == nullptr) return base::OkStatus();
  // A newer server may say more than we know.
  base::Status read = wire::FromJsonText(response.body, reply, wire::UnknownFields::kIgnore);
  if (!read.ok()) return std::move(read).WithCode(base::Code::kInternal).With("server's answer");
  return read;
}

base::Status Api::CheckHealth() { return Call("GET", std::string(kV2) + "/healthz", "", nullptr); }

base::Result<v2beta1::Run> Api::SubmitRun(const v1::SubmitRunRequest& request) {
  v2beta1::Run created;
  CAUDAL_TRY(Call("POST", std::string(kOwn) + "/runs",
                  wire::ToJson(request, wire::FieldNames::kSnakeCase), &created));
  return created;
}

base::Status Api::AddCode(const std::string& sha256, const std::string& tar) {
  const base::Status known = Call("HEAD", std::string(kOwn) + "/code/" + sha256, "", nullptr);
  if (known.code() != base::Code::kNotFound) return known;
  return Call("POST", std::string(kOwn) + "/code?sha256=" + sha256, tar, nullptr);
}

base::Result<v1::RunReport> Api::GetReport(const std::string& run_id, int wait_millis,
                                           int64_t after_sequence) {
  const std::string path = std::string(kOwn) + "/runs/" + UrlEncode(run_id) +
                           "?most_tasks=" + std::to_string(kTasksPerPage);
  v1::RunReport page;
  CAUDAL_TRY(Call("GET",
                  path + "&wait_millis=" + std::to_string(wait_millis) +
                      "&after_sequence=" + std::to_string(after_sequence),
                  "", &page));
  if (page.next_task() == 0) return page;
  v1::RunReport head = page;  // what is said of the run is as old as the first page
  head.clear_tasks();
  head.clear_next_task();
  LiveReport whole;
  for (int next = page.next_task(); true; next = page.next_task()) {
    whole.Take(page);
    if (next == 0) break;
    page.Clear();
    CAUDAL_TRY(Call("GET", path + "&first_task=" + std::to_string(next), "", &page));
  }
  whole.Take(std::move(head));
  return std::move(whole).report();
}

base::Result<v1::RunReport> Api::GetChanges(const std::string& run_id, int wait_millis,
                                            int64_t after_sequence) {
  v1::RunReport report;
  CAUDAL_TRY(Call("GET",
                  std::string(kOwn) + "/runs/" + UrlEncode(run_id) +
                      "?changes_only=true&wait_millis=" + std::to_string(wait_millis) +
                      "&after_sequence=" + std::to_string(after_sequence),
                  "", &report));
  return report;
}

base::Status Api::RetryRun(const std::string& run_id) {
  return Call("POST", std::string(kOwn) + "/runs/" + UrlEncode(run_id) + ":retry", "", nullptr);
}

base::Result<v1::RunExplanation> Api::ExplainRun(const std::string& run_id,
                                                 const std::string& task) {
  v1::RunExplanation explanation;
  CAUDAL_TRY(Call("GET",
                  std::string(kOwn) + "/runs/" + UrlEncode(run_id) + "/explanation" +
                      (task.empty() ? "" : "?task=" + UrlEncode(task)),
                  "", &explanation));
  return explanation;
}

base::Status Api::CancelRun(const std::string& run_id, bool now) {
  return Call(
      "POST",
      std::string(kOwn) + "/runs/" + UrlEncode(run_id) + ":cancel" + (now ? "?now=true" : ""), "",
      nullptr);
}

base::Result<v2beta1::ListRunsResponse> Api::ListNewestRuns(int count) {
  v2beta1::ListRunsResponse runs;
  CAUDAL_TRY(Call(
      "GET",
      std::string(kV2) + "/runs?page_size=" + std::to_string(count) + "&sort_by=created_at%20desc",
      "", &runs));
  return runs;
}

base::Result<std::string> Api::ResolveExperiment(const std::string& name) {
  std::string token;
  do {
    v2beta1::ListExperimentsResponse page;
    CAUDAL_TRY(Call("GET",
                    std::string(kV2) + "/experiments?page_size=200" +
                        (token.empty() ? "" : "&page_token=" + UrlEncode(token)),
                    "", &page));
    for (const v2beta1::Experiment& experiment : page.experiments()) {
      if (experiment.display_name() == name) return experiment.experiment_id();
    }
    token = page.next_page_token();
  } while (!token.empty());
  v2beta1::Experiment wanted;
  wanted.set_display_name(name);
  v2beta1::Experiment created;
  CAUDAL_TRY(Call("POST", std::string(kV2) + "/experiments",
                  wire::ToJson(wanted, wire::FieldNames::kSnakeCase), &created));
  return created.experiment_id();
}

base::Result<std::string> Api::GetTaskLog(const std::string& run_id, const std::string& task_id) {
  const std::string url = LogUrl(run_id, task_id);
  CAUDAL_ASSIGN(http::ClientResponse response, client_.Send("GET", url.substr(url_.size())));
  if (response.status != 200) return ErrorOf(response);
  return std::move(response.body);
}

base::Result<std::string> Api::GetLogEnd(const std::string& run_id, const std::string& task_id,
                                         int64_t bytes, int timeout_seconds) {
  const std::string target =
      LogUrl(run_id, task_id).substr(url_.size()) + "?tail_bytes=" + std::to_string(bytes);
  CAUDAL_ASSIGN(http::ClientResponse response, client_.Send("GET", target, "", timeout_seconds));
  if (response.status != 200) return ErrorOf(response);
  return std::move(response.body);
}

base::Status Api::StreamTaskLog(const std::string& run_id, const std::string& task_id, bool follow,
                                int attempt, const std::function<bool(std::string_view)>& on_data) {
  const std::string url = LogUrl(run_id, task_id);
  std::string query = follow ? "?follow=true" : "";
  if (attempt > 0) query += (query.empty() ? "?attempt=" : "&attempt=") + std::to_string(attempt);
  return client_.Stream(url.substr(url_.size()) + query, on_data);
}

std::string Api::LogUrl(const std::string& run_id, const std::string& task_id) const {
  return url_ + "/apis/v1alpha1/runs/" + UrlEncode(run_id) + "/nodes/" + UrlEncode(task_id) +
         "/log";
}

std::string UrlEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kHex[byte >> 4];
      encoded += kHex[byte & 15];
    }
  }
  return encoded;
}

}  // namespace caudal::cli
