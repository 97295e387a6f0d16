#pragma once

/// What most verbs begin and end with.

#include <boost/json/value.hpp>
#include <memory>
#include <string>

#include "cli/internal/arguments.h"
#include "cli/internal/objects.h"
#include "cli/internal/output.h"
#include "cli/internal/target.h"

namespace caudal::cli {

/// What most verbs begin with: the output form, the server, and a finder on it.
struct Session {
  OutputForm form = OutputForm::kTable;
  Target target;
  std::unique_ptr<Api> api;
  std::string target_words;

  Finder finder() { return {api.get(), target_words}; }
};

/// Errors: as ReadOutputForm's and OpenTarget's.
base::Result<Session> OpenSession(const Arguments& arguments);

/// "--limit N" or 20; 0, for everything, with "--all". Errors: kInvalidArgument.
base::Result<size_t> ReadLimit(const Arguments& arguments);

/// Says what was done to some objects: `lines` for people, or `data`.
void PrintDone(OutputForm form, const std::string& lines, const boost::json::value& data);

}  // namespace caudal::cli
