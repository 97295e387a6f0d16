#pragma once

/// The log facade: one line per event on standard error, with UTC time and level.

#include <string_view>

namespace caudal::base {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Lines below `level` are dropped; kWarning unless set. Thread-safe.
void SetLogLevel(LogLevel level);

/// Writes one line. Never throws, never blocks on a lock of ours. Must not be given secrets.
void Log(LogLevel level, std::string_view message);

inline void LogDebug(std::string_view message) { Log(LogLevel::kDebug, message); }
inline void LogInfo(std::string_view message) { Log(LogLevel::kInfo, message); }
inline void LogWarning(std::string_view message) { Log(LogLevel::kWarning, message); }
inline void LogError(std::string_view message) { Log(LogLevel::kError, message); }

}  // namespace caudal::base
