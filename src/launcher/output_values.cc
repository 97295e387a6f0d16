#include "launcher/internal/output_values.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/file.h"
#include "base/utf8.h"
#include "wire/json.h"

namespace caudal::launcher::internal {
namespace {

using base::InvalidArgument;
using base::Result;
using base::Status;
using google::protobuf::Value;
using ml_pipelines::ParameterType;

constexpr int64_t kMaxParameterBytes = 16 << 20;
constexpr int64_t kMaxOutputFileBytes = 64 << 20;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  const size_t start = text.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kBlanks) - start + 1);
}

/// The value as messages show it: in quotes, cut, without half a character at the end.
std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 200;
  if (text.size() <= kShown) return "\"" + std::string(text) + "\"";
  size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return "\"" + std::string(text.substr(0, end)) + "…\"";
}

std::optional<double> ParseInteger(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return static_cast<double>(number);
}

std::optional<double> ParseDouble(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.starts_with('-')) return std::nullopt;
  auto format = std::chars_format::general;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    format = std::chars_format::hex;
    if (text.find_first_of("pP") == std::string_view::npos) return std::nullopt;
  }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, format);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return negative ? -number : number;
}

std::optional<bool> ParseBool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

Result<Value> Wrong(std::string_view text, const std::string& wanted) {
  return InvalidArgument("wants " + wanted + ", got " + Quoted(text));
}

Result<Value> NumberValue(std::string_view text, std::optional<double> number,
                          const std::string& wanted) {
  if (!number || !std::isfinite(*number)) return Wrong(text, wanted);
  Value value;
  value.set_number_value(*number);
  return value;
}

Result<Value> JsonValue(std::string_view text, const std::string& wanted, bool list) {
  Value value;
  const Status read = wire::FromJsonText(text, &value);
  if (!read.ok()) {
    return Wrong(text, wanted + " (" + read.message() + ")");
  }
  const bool fits = list ? value.has_list_value() : value.has_struct_value();
  return fits ? Result<Value>(std::move(value)) : Wrong(text, wanted);
}

/// The content of a regular file that a step wrote. Errors: kNotFound; kInvalidArgument for
/// anything that is no plain file.
Result<std::string> ReadStepFile(const std::string& path, int64_t max_bytes) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return base::FromErrno(errno, "cannot read " + path);
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument("is no plain file (a link, pipe or directory); write a plain file");
  }
  if (info.st_size > max_bytes) {
    return InvalidArgument("has " + std::to_string(info.st_size) + " bytes, more than " +
                           std::to_string(max_bytes) + "; hand large data on as an artifact");
  }
  if ((info.st_mode & S_IRUSR) == 0)
    chmod(path.c_str(), 0600);  // the step's files are ours to read
  return base::ReadFile(path, max_bytes);
}

Result<Value> ReadParameter(const std::string& name, const std::string& host_path,
                            const std::string& step_path, ParameterType::ParameterTypeEnum type) {
  auto text = ReadStepFile(host_path, kMaxParameterBytes);
  if (text.status().code() == base::Code::kNotFound) {
    return InvalidArgument("output '" + name + "' was not written: the step left no file " +
                           step_path + " and no value in its output file; write it, or remove " +
                           "the output from the component");
  }
  if (!text.ok()) return Status(text.status()).With("output '" + name + "': " + step_path);
  auto value = ParseOutputValue(*text, type);
  if (!value.ok()) return Status(value.status()).With("output '" + name + "': " + step_path);
  return value;
}

}  // namespace

Result<Value> ParseOutputValue(std::string_view text, ParameterType::ParameterTypeEnum type) {
  const std::string_view word = Trim(text);
  Value value;
  switch (type) {
    case ParameterType::STRING:
      if (!base::IsUtf8(text)) {
        return InvalidArgument("is not UTF-8 text; hand on bytes as an artifact");
      }
      value.set_string_value(std::string(text));
      return value;
    case ParameterType::NUMBER_INTEGER:
      return NumberValue(text, ParseInteger(word), "an integer in decimal digits");
    case ParameterType::NUMBER_DOUBLE:
      return NumberValue(text, ParseDouble(word), "a finite number");
    case ParameterType::BOOLEAN: {
      const std::optional<bool> truth = ParseBool(word);
      if (!truth) return Wrong(text, "true or false");
      value.set_bool_value(*truth);
      return value;
    }
    case ParameterType::LIST:
      return JsonValue(text, "a JSON list", true);
    case ParameterType::STRUCT:
      return JsonValue(text, "a JSON object", false);
    default:
      return InvalidArgument(
          "has a declared type that no output can have; declare it as a string, "
          "number, boolean, list or object");
  }
}

Result<ml_pipelines::ExecutorOutput> ReadExecutorOutput(const v1::AttemptSpec& spec,
                                                        const Places& places) {
  ml_pipelines::ExecutorOutput output;
  const std::string shown = "the step's output file " + OutputFileForStep(spec, places);
  auto text = ReadStepFile(places.Outputs() + "/" + kOutputFileName, kMaxOutputFileBytes);
  if (text.status().code() == base::Code::kNotFound) return output;
  if (!text.ok()) return Status(text.status()).With(shown);
  const Status read = wire::FromJsonText(*text, &output);
  if (!read.ok()) return Status(read).With(shown);
  return output;
}

Result<Values> OutputValues(const v1::AttemptSpec& spec, const Places& places,
                            const ml_pipelines::ExecutorOutput& output) {
  Values values(output.parameter_values().begin(), output.parameter_values().end());
  const auto& declared = spec.component().output_definitions().parameters();
  std::vector<std::string> names;
  for (const auto& [name, parameter] : declared) names.push_back(name);
  std::sort(names.begin(), names.end());  // so that the first fault is always the same one
  for (const std::string& name : names) {
    if (values.count(name) > 0) continue;
    CAUDAL_ASSIGN(values[name],
                  ReadParameter(name, places.Parameters() + "/" + name,
                                places.ParameterForStep(name), declared.at(name).parameter_type()));
  }
  for (const auto& [name, value] : values) {
    if (wire::ValueDepth(value) > wire::kMaxValueDepth) {
      return InvalidArgument(
          "output parameter '" + name + "' has lists or objects nested deeper than " +
          std::to_string(wire::kMaxValueDepth) + " levels; hand it on as text or as an artifact");
    }
  }
  return values;
}

}  // namespace caudal::launcher::internal
