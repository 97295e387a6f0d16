#pragma once

/// The one error type: `Status`, and `Result<T>` for "a value or why not".

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace caudal::base {

/// gRPC's codes, number for number, so that the edge of the system is a cast.
enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

/// The code's name as gRPC spells it: "INVALID_ARGUMENT".
std::string_view CodeName(Code code);

/// OK, or a code and a message. Messages are lower case, without a full stop, and name the thing
/// and the value: "task 'train': input 'rate' wants a number, got \"fast\"".
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message);

  bool ok() const { return error_ == nullptr; }
  Code code() const { return ok() ? Code::kOk : error_->code; }
  const std::string& message() const;

  /// Puts `context` in front of the message, outermost first: "context: message".
  Status With(std::string_view context) &&;
  /// The same message under another code.
  Status WithCode(Code code) &&;

  /// "INVALID_ARGUMENT: message", or "OK".
  std::string ToString() const;

 private:
  struct Error {
    Code code;
    std::string message;
  };
  std::shared_ptr<const Error> error_;  // shared by copies of one immutable error
};

inline Status OkStatus() { return {}; }
Status InvalidArgument(std::string message);
Status NotFound(std::string message);
Status AlreadyExists(std::string message);
Status FailedPrecondition(std::string message);
Status Aborted(std::string message);
Status ResourceExhausted(std::string message);
Status Unimplemented(std::string message);
Status Internal(std::string message);
Status Unavailable(std::string message);
/// Code chosen from errno; the message ends with strerror and the path or object concerned.
Status FromErrno(int error, std::string_view doing);

/// A `T`, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result() : status_(Code::kUnknown, "result never set") {}
  Result(T value) : value_(std::move(value)) {}          // NOLINT: conversion is the point
  Result(Status status) : status_(std::move(status)) {}  // NOLINT: conversion is the point

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return *std::move(value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

/// One thing wrong with an input: where, and what. Validation collects all of them.
struct Fault {
  std::string path;  ///< "root.dag.tasks.train.inputs.parameters.rate"; empty for the whole input
  std::string message;  ///< names the value and the remedy
};

/// kInvalidArgument with one "path: message" line per fault; OK when there is none.
Status FaultsToStatus(const std::vector<Fault>& faults);

#define CAUDAL_CONCAT_(a, b) a##b
#define CAUDAL_CONCAT(a, b) CAUDAL_CONCAT_(a, b)

/// Returns the Status from the enclosing function unless it is OK.
#define CAUDAL_TRY(expression) CAUDAL_TRY_(CAUDAL_CONCAT(caudal_status_, __COUNTER__), expression)
#define CAUDAL_TRY_(status, expression)           \
  do {                                            \
    ::caudal::base::Status status = (expression); \
    if (!status.ok()) return status;              \
  } while (false)

/// Binds `declaration` to the value of a Result, or returns its Status.
#define CAUDAL_ASSIGN(declaration, expression) \
  CAUDAL_ASSIGN_(CAUDAL_CONCAT(caudal_result_, __COUNTER__), declaration, expression)
#define CAUDAL_ASSIGN_(result, declaration, expression) \
  auto result = (expression);                           \
  if (!result.ok()) return result.status();             \
  declaration = *std::move(result)

/// Aborts, in release too, when what we persist would be corrupt otherwise.
#define CAUDAL_CHECK(condition, why) \
  ((condition) ? void(0) : ::caudal::base::CheckFailed(#condition, why, __FILE__, __LINE__))

[[noreturn]] void CheckFailed(const char* condition, std::string_view why, const char* file,
                              int line);

}  // namespace caudal::base
