#include "cli/internal/compiler.h"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "cli/internal/compiler_socket.h"

namespace caudal::cli {
namespace {

namespace json = boost::json;
using base::Result;
using internal::Answered;

// From the connection to the first byte: the import of the SDK at most. One that takes longer
// hangs.
constexpr int kHelloMillis = 30'000;
constexpr int kStopMillis = 5'000;

std::string MakeRequest(const PythonSource& source) {
  std::error_code error;
  const std::string file = std::filesystem::absolute(source.file, error).lexically_normal();
  return json::serialize(json::object{{"cwd", std::filesystem::current_path(error).string()},
                                      {"file", file},
                                      {"shown", source.file},
                                      {"function", source.function}});
}

int NumberAt(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? static_cast<int>(value->get_int64()) : 0;
}

std::string TextAt(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

v1::FunctionPlace ReadPlace(const json::object& object) {
  v1::FunctionPlace place;
  place.set_function(TextAt(object, "function"));
  place.set_file(TextAt(object, "file"));
  place.set_file_line(NumberAt(object, "file_line"));
  place.set_source_line(NumberAt(object, "source_line"));
  place.set_line_count(NumberAt(object, "line_count"));
  return place;
}

Result<Compiled> ReadAnswer(const std::string& text) {
  boost::system::error_code error;
  const json::value answer = json::parse(text, error);
  if (error || !answer.is_object()) return base::Internal("the compiler's answer cannot be read");
  const json::object& object = answer.get_object();
  const std::string fault = TextAt(object, "error");
  if (!fault.empty()) return base::InvalidArgument(fault);
  Compiled compiled{TextAt(object, "package"), {}, TextAt(object, "sdk")};
  const json::value* functions = object.if_contains("functions");
  if (functions == nullptr || !functions->is_array()) return compiled;
  for (const json::value& place : functions->get_array()) {
    if (place.is_object()) compiled.functions.push_back(ReadPlace(place.get_object()));
  }
  return compiled;
}

base::Status EndedEarly(const PythonSource& source, const std::string& how) {
  return base::FailedPrecondition("the Python that compiled '" + source.file +
                                  "' ended without an answer" + how +
                                  ": does the file end its process when it is imported?");
}

// By the compiler that stays; nullopt when there is none that takes the request.
std::optional<Result<Compiled>> CompileWarm(const PythonSource& source, const std::string& python,
                                            const std::string& data_dir) {
  const auto directory = internal::CompilerDir::Open(data_dir, true);
  if (!directory.ok()) return std::nullopt;
  const auto connection = directory->Connect(internal::CompilerKey(python), python);
  if (!connection.ok()) return std::nullopt;
  if (!internal::SendRequest(connection->get(), MakeRequest(source)).ok()) return std::nullopt;
  if (internal::AwaitHello(connection->get(), kHelloMillis) != Answered::kAnswer) {
    return std::nullopt;
  }
  // From here on user code may have run: it must not run again behind the user's back.
  std::string answer;
  if (internal::AwaitAnswer(connection->get(), &answer) != Answered::kAnswer) {
    return EndedEarly(source, "");
  }
  return ReadAnswer(answer);
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<Compiled> CompileOnce(const PythonSource& source, const std::string& python) {
  CAUDAL_ASSIGN(internal::OneShot compiler, internal::StartOneShot(python));
  const base::Status sent = internal::SendRequest(compiler.connection.get(), MakeRequest(source));
  std::string answer;
  const bool is_answered =
      sent.ok() && internal::AwaitHello(compiler.connection.get(), -1) == Answered::kAnswer &&
      internal::AwaitAnswer(compiler.connection.get(), &answer) == Answered::kAnswer;
  compiler.connection.Reset();
  const int code = WaitFor(compiler.pid);
  if (is_answered) return ReadAnswer(answer);
  if (code == 127) return base::InvalidArgument("'" + python + "' cannot be run as a Python");
  return EndedEarly(source, " (exit " + std::to_string(code) + ")");
}

}  // namespace

Result<Compiled> CompilePython(const PythonSource& source, const std::string& python,
                               const std::string& data_dir) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(source.file, error)) {
    return base::InvalidArgument(
        "'" + source.file + "' " +
        (std::filesystem::exists(source.file, error) ? "is no file" : "does not exist"));
  }
  if (auto warm = CompileWarm(source, python, data_dir)) return *std::move(warm);
  return CompileOnce(source, python);
}

void StartCompilerAhead(const std::string& python, const std::string& data_dir) {
  const auto directory = internal::CompilerDir::Open(data_dir, true);
  // A connection that says nothing is dropped by the compiler.
  if (directory.ok()) (void)directory->Connect(internal::CompilerKey(python), python);
}

void StopCompilers(const std::string& data_dir) {
  const auto directory = internal::CompilerDir::Open(data_dir, false);
  if (!directory.ok()) return;
  const auto names = base::ListDir(directory->path());
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (!name.ends_with(".sock")) continue;
    if (const auto connection = directory->ConnectIfRunning(name)) {
      const bool told = internal::SendRequest(connection->get(), R"({"stop": true})").ok();
      std::string nothing;
      if (told && internal::AwaitHello(connection->get(), kStopMillis) == Answered::kAnswer) {
        internal::AwaitAnswer(connection->get(), &nothing);
      }
    }
    unlink((directory->path() + "/" + name).c_str());
  }
}

}  // namespace caudal::cli
