#include <yaml.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <memory>

#include "spec/internal/yaml.h"

namespace caudal::spec::internal {
namespace {

namespace json = boost::json;
using base::Fault;

constexpr size_t kMaxFaults = 100;

std::string At(const yaml_mark_t& mark) {
  return "line " + std::to_string(mark.line + 1) + ", column " + std::to_string(mark.column + 1);
}

std::string_view Text(const yaml_char_t* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

/// Owns one libyaml event.
class Event {
 public:
  Event() = default;
  ~Event() { yaml_event_delete(&event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  yaml_event_t* operator->() { return &event_; }
  yaml_event_t* get() { return &event_; }

 private:
  yaml_event_t event_ = {};
};

/// How much a subtree holds: what an alias to it costs.
struct Cost {
  size_t nodes = 0;
  size_t bytes = 0;
  int depth = 0;  // levels below and including it
};

struct Anchor {
  json::value value;
  Cost cost;
};

/// Builds values from events by recursive descent, as deep as the limits allow. Stops at the first
/// syntax error or exceeded limit, collects faults that leave the structure readable.
class Builder {
 public:
  Builder(std::string_view text, const PackageLimits& limits) : limits_(limits) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~Builder() { yaml_parser_delete(&parser_); }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  std::vector<Document> ReadAll() {
    std::vector<Document> documents;
    while (!stopped_) {
      Event event;
      if (!Next(&event) || event->type == YAML_STREAM_END_EVENT) break;
      if (event->type != YAML_DOCUMENT_START_EVENT) continue;
      Document document;
      document.line = event->start_mark.line + 1;
      anchors_.clear();
      Event content;
      if (Next(&content)) ReadNode(&content, 1, &document.value);
      documents.push_back(std::move(document));
    }
    return documents;
  }

  const std::vector<Fault>& faults() const { return faults_; }

 private:
  bool Next(Event* event) {
    if (stopped_) return false;
    if (yaml_parser_parse(&parser_, event->get()) != 0) return true;
    stopped_ = true;
    std::string message = "not YAML: ";
    message += parser_.problem == nullptr ? "out of memory" : parser_.problem;
    if (parser_.context != nullptr) {
      message += std::string(", ") + parser_.context + " at " + At(parser_.context_mark);
    }
    yaml_mark_t mark = parser_.problem_mark;
    if (parser_.error == YAML_READER_ERROR) mark = parser_.mark;  // libyaml sets no mark for these
    Report(mark, std::move(message));
    return false;
  }

  /// Reads the node that starts with `event` into `value`; returns what it holds.
  Cost ReadNode(Event* event, int depth, json::value* value) {
    if (depth > limits_.depth) {
      Stop((*event)->start_mark, "nested deeper than " + std::to_string(limits_.depth) + " levels");
      return {};
    }
    switch ((*event)->type) {
      case YAML_ALIAS_EVENT:
        return ReadAlias(event, depth, value);
      case YAML_SCALAR_EVENT:
        return ReadScalar(event, value);
      case YAML_SEQUENCE_START_EVENT:
        return ReadSequence(event, depth, value);
      case YAML_MAPPING_START_EVENT:
        return ReadMapping(event, depth, value);
      default:
        Stop((*event)->start_mark, "not YAML: unexpected end of a value");
        return {};
    }
  }

  Cost ReadAlias(Event* event, int depth, json::value* value) {
    const auto found = anchors_.find(Text((*event)->data.alias.anchor));
    if (found == anchors_.end()) {
      Report((*event)->start_mark, "no anchor '" + std::string(Text((*event)->data.alias.anchor)) +
                                       "' before this place");
      return {};
    }
    const Cost& cost = found->second.cost;
    if (depth + cost.depth - 1 > limits_.depth) {
      Stop((*event)->start_mark,
           "nested deeper than " + std::to_string(limits_.depth) + " levels by an alias");
      return {};
    }
    if (Charge(cost, (*event)->start_mark)) *value = found->second.value;
    return cost;
  }

  /// The lone "!" counts as no tag, as in Go.
  template <typename Scalar>
  static bool IsUntagged(const Scalar& scalar) {
    return scalar.tag == nullptr || Text(scalar.tag) == "!";
  }

  Cost ReadScalar(Event* event, json::value* value) {
    const auto& scalar = (*event)->data.scalar;
    std::string text(reinterpret_cast<const char*>(scalar.value), scalar.length);
    const Cost cost{1, text.size(), 1};
    if (!Charge(cost, (*event)->start_mark)) return cost;
    if (IsUntagged(scalar) && scalar.style == YAML_PLAIN_SCALAR_STYLE) {
      if (!ResolvePlain(text, value)) {
        Report((*event)->start_mark, "JSON has no number " + text + ", quote it if text is meant");
      }
    } else if (IsUntagged(scalar)) {
      *value = json::string(text);
    } else if (!ResolveTagged(std::string(Text(scalar.tag)), text, value)) {
      ReportTag(event, scalar.tag, "'" + text.substr(0, 60) + "'");
    }
    Remember(scalar.anchor, *value, cost, (*event)->start_mark);
    return cost;
  }

  Cost ReadSequence(Event* event, int depth, json::value* value) {
    const auto& start = (*event)->data.sequence_start;
    CheckCollectionTag(event, start.tag, "tag:yaml.org,2002:seq", "a list");
    json::array& list = value->emplace_array();
    Cost cost{1, 0, 1};
    if (!Charge(cost, (*event)->start_mark)) return cost;
    for (;;) {
      Event item;
      if (!Next(&item) || item->type == YAML_SEQUENCE_END_EVENT) break;
      list.emplace_back(nullptr);
      Add(ReadNode(&item, depth + 1, &list.back()), &cost);
    }
    Remember(start.anchor, *value, cost, (*event)->start_mark);
    return cost;
  }

  Cost ReadMapping(Event* event, int depth, json::value* value) {
    const auto& start = (*event)->data.mapping_start;
    CheckCollectionTag(event, start.tag, "tag:yaml.org,2002:map", "a mapping");
    json::object& object = value->emplace_object();
    json::array merges;
    Cost cost{1, 0, 1};
    if (!Charge(cost, (*event)->start_mark)) return cost;
    for (;;) {
      Event key;
      if (!Next(&key) || key->type == YAML_MAPPING_END_EVENT) break;
      Add(ReadEntry(&key, depth + 1, &object, &merges), &cost);
    }
    for (auto& merge : merges) Merge(std::move(merge), (*event)->start_mark, &object);
    Remember(start.anchor, *value, cost, (*event)->start_mark);
    return cost;
  }

  Cost ReadEntry(Event* key_event, int depth, json::object* object, json::array* merges) {
    std::string key;
    Cost cost = ReadKey(key_event, depth, &key);
    const bool is_merge = (*key_event)->type == YAML_SCALAR_EVENT && key == "<<" &&
                          IsUntagged((*key_event)->data.scalar) &&
                          (*key_event)->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    Event event;
    if (!Next(&event)) return cost;
    json::value value;
    Add(ReadNode(&event, depth, &value), &cost);
    --cost.depth;  // Add counted this level, which ReadMapping counts
    if (is_merge) {
      merges->push_back(std::move(value));
    } else if (!object->emplace(key, std::move(value)).second) {
      Report((*key_event)->start_mark, "key '" + key + "' is given twice in one mapping");
    }
    return cost;
  }

  /// Keys are the text of scalars, as written: JSON has no others.
  Cost ReadKey(Event* event, int depth, std::string* key) {
    if ((*event)->type == YAML_SCALAR_EVENT) {
      const auto& scalar = (*event)->data.scalar;
      key->assign(reinterpret_cast<const char*>(scalar.value), scalar.length);
      const Cost cost{0, key->size(), 1};
      Charge(cost, (*event)->start_mark);
      if (scalar.anchor != nullptr) {
        Remember(scalar.anchor, json::string(*key), {1, key->size(), 1}, (*event)->start_mark);
      }
      return cost;
    }
    json::value value;
    const Cost cost = ReadNode(event, depth, &value);
    if (value.is_string()) {
      *key = std::string(value.get_string());
    } else {
      Report((*event)->start_mark, "a key must be a string here");
    }
    return cost;
  }

  /// Adds what `object` lacks. Earlier merges win over later ones, since they come first.
  void Merge(json::value from, const yaml_mark_t& mark, json::object* object) {
    if (auto* list = from.if_array()) {
      for (auto& item : *list) {
        if (!item.is_object()) return Report(mark, "'<<' wants a mapping or a list of mappings");
        Merge(std::move(item), mark, object);
      }
    } else if (auto* other = from.if_object()) {
      for (auto& [key, value] : *other) object->emplace(key, std::move(value));
    } else {
      Report(mark, "'<<' wants a mapping or a list of mappings");
    }
  }

  void CheckCollectionTag(Event* event, const yaml_char_t* tag, std::string_view wanted,
                          const std::string& what) {
    if (tag != nullptr && Text(tag) != wanted && Text(tag) != "!") ReportTag(event, tag, what);
  }

  void ReportTag(Event* event, const yaml_char_t* tag, const std::string& what) {
    std::string name(Text(tag));
    if (name.starts_with("tag:yaml.org,2002:")) name = "!!" + name.substr(18);
    Report((*event)->start_mark, "tag '" + name + "' does not fit " + what + ", remove it");
  }

  /// Keeps a copy for aliases. The copy counts, so that anchors inside anchors stay bounded.
  void Remember(const yaml_char_t* anchor, const json::value& value, const Cost& cost,
                const yaml_mark_t& mark) {
    if (anchor == nullptr || !Charge(cost, mark)) return;
    anchors_[std::string(Text(anchor))] = Anchor{value, cost};
  }

  static void Add(const Cost& child, Cost* cost) {
    cost->nodes += child.nodes;
    cost->bytes += child.bytes;
    cost->depth = std::max(cost->depth, child.depth + 1);
  }

  bool Charge(const Cost& cost, const yaml_mark_t& mark) {
    spent_.nodes += cost.nodes;
    spent_.bytes += cost.bytes;
    if (spent_.nodes > limits_.nodes) {
      Stop(mark, "more than " + std::to_string(limits_.nodes) + " values, aliases expanded");
    } else if (spent_.bytes > limits_.expanded_bytes) {
      Stop(mark, "more than " + std::to_string(limits_.expanded_bytes) +
                     " bytes of text, aliases expanded");
    }
    return !stopped_;
  }

  void Stop(const yaml_mark_t& mark, std::string message) {
    if (!stopped_) Report(mark, std::move(message));
    stopped_ = true;
  }

  void Report(const yaml_mark_t& mark, std::string message) {
    if (faults_.size() < kMaxFaults) faults_.push_back({At(mark), std::move(message)});
  }

  const PackageLimits limits_;
  yaml_parser_t parser_;
  std::map<std::string, Anchor, std::less<>> anchors_;
  Cost spent_;
  bool stopped_ = false;
  std::vector<Fault> faults_;
};

}  // namespace

base::Result<std::vector<Document>> ReadYaml(std::string_view text, const PackageLimits& limits) {
  Builder builder(text, limits);
  std::vector<Document> documents = builder.ReadAll();
  CAUDAL_TRY(base::FaultsToStatus(builder.faults()));
  return documents;
}

}  // namespace caudal::spec::internal
