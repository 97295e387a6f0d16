#pragma once

/// Flags that several verbs share, so that they have the same name and meaning everywhere.

#include "cli/internal/arguments.h"

namespace caudal::cli {

inline constexpr Flag kDataDirFlag = {
    "--data-dir", "",   "DIR", "where everything is kept (default ~/.local/share/caudal)",
    false,        "dir"};
inline constexpr Flag kServerFlag = {
    "--server", "", "URL", "the server to ask (default: CAUDAL_SERVER, the context, a local one)"};
inline constexpr Flag kOutputFlag = {
    "--output", "-o", "FORM", "table, json, jsonl or yaml", false, "table|json|jsonl|yaml"};
inline constexpr Flag kJsonFlag = {"--json", "", "", "the same as -o json"};
inline constexpr Flag kYesFlag = {"--yes", "-y", "", "does not ask"};
inline constexpr Flag kLimitFlag = {"--limit", "", "N", "at most so many (default 20)"};

}  // namespace caudal::cli
