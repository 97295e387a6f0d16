#include "cli/internal/live_report.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace caudal::cli {
namespace {

using Tasks = google::protobuf::RepeatedPtrField<ReportTask>;

// What it held in an earlier generation is shown only once it is opened again.
bool IsClosed(const ReportTask& task) {
  return IsGroup(task) &&
         (task.state() == "PENDING" || task.state() == "SKIPPED" || task.state() == "OMITTED");
}

}  // namespace

const ReportTask* LiveReport::Find(const std::string& path) const {
  const auto place = places_.find(path);
  return place == places_.end() ? nullptr : &report_.tasks(place->second);
}

void LiveReport::NotePlaces(int from) {
  for (int i = from; i < report_.tasks_size(); ++i) places_[report_.tasks(i).path()] = i;
}

// After the last of those it holds.
int LiveReport::EndOf(int group) const {
  int end = group + 1;
  const std::string& path = report_.tasks(group).path();
  while (end < report_.tasks_size() && IsUnder(report_.tasks(end).path(), path)) ++end;
  return end;
}

// New tasks come in reading order and go to the end of the group they belong to.
void LiveReport::InsertNew(Tasks* tasks) {
  if (tasks->empty()) return;
  std::vector<std::pair<int, int>> anchors;  // before which known task, which new one
  std::unordered_map<std::string, int> ends;
  for (int i = 0; i < tasks->size(); ++i) {
    const std::string parent = ParentPath((*tasks)[i].path());
    const auto [end, is_new] = ends.try_emplace(parent, report_.tasks_size());
    if (is_new && !parent.empty()) {
      const auto place = places_.find(parent);
      if (place != places_.end()) {
        end->second = EndOf(place->second);
      } else if (!anchors.empty()) {
        end->second = anchors.back().first;  // right after its group, which is new as well
      }
    }
    anchors.emplace_back(end->second, i);
  }
  std::stable_sort(anchors.begin(), anchors.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  Tasks known;
  known.Swap(report_.mutable_tasks());
  std::vector<ReportTask*> from(static_cast<size_t>(known.size()));
  known.ExtractSubrange(0, known.size(), from.data());
  size_t next = 0;
  for (const auto& [anchor, index] : anchors) {
    while (next < static_cast<size_t>(anchor)) report_.mutable_tasks()->AddAllocated(from[next++]);
    *report_.add_tasks() = std::move((*tasks)[index]);
  }
  while (next < from.size()) report_.mutable_tasks()->AddAllocated(from[next++]);
  NotePlaces(anchors.front().first);
}

void LiveReport::DropClosed() {
  Tasks kept;
  std::string closed;
  for (ReportTask& task : *report_.mutable_tasks()) {
    if (!closed.empty() && IsUnder(task.path(), closed)) continue;
    closed = IsClosed(task) ? task.path() : "";
    *kept.Add() = std::move(task);
  }
  report_.mutable_tasks()->Swap(&kept);
  places_.clear();
  NotePlaces(0);
}

void LiveReport::Take(v1::RunReport changes) {
  Tasks fresh;
  bool has_closed = false;
  for (ReportTask& task : *changes.mutable_tasks()) {
    const auto place = places_.find(task.path());
    if (place == places_.end()) {
      *fresh.Add() = std::move(task);
      continue;
    }
    ReportTask& known = *report_.mutable_tasks(place->second);
    has_closed = has_closed || (IsClosed(task) && !IsClosed(known));
    known = std::move(task);
  }
  changes.clear_tasks();
  // Which Python ran is told by the steps that changed.
  if (changes.python().empty() && !report_.python().empty()) {
    changes.set_python(report_.python());
    changes.set_isolation(report_.isolation());
  }
  Tasks known;
  known.Swap(report_.mutable_tasks());
  report_ = std::move(changes);
  report_.mutable_tasks()->Swap(&known);
  if (has_closed) DropClosed();
  InsertNew(&fresh);
}

}  // namespace caudal::cli
