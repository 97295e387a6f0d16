#pragma once

/// The mark in every step's environment, by which its processes are found when all their parents
/// are gone.

#include <cstdint>
#include <functional>
#include <string>

namespace caudal::supervisor::internal {

/// Names a data directory: the same for every path that leads to it.
std::string DataDirId(const std::string& data_dir);

/// "CAUDAL_ATTEMPT=<data dir id>:<attempt key>".
std::string MakeMark(const std::string& data_dir_id, int64_t attempt_key);

/// Kills every marked process of the data directory, and its descendants, unless `is_live` says yes
/// to its attempt; returns when they are dead, or after some seconds of trying.
void KillStrays(const std::string& data_dir_id, const std::function<bool(int64_t)>& is_live);

}  // namespace caudal::supervisor::internal
