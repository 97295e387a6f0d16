#include "engine/fingerprint.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/sha256.h"
#include "base/utf8.h"
#include "spec/parameters.h"
#include "wire/json.h"

namespace caudal::engine {
namespace {

using google::protobuf::Value;
using ml_pipelines::ComponentOutputsSpec;

constexpr size_t kShownBytes = 60;
constexpr int kShownDifferences = 3;
constexpr char kCustomKey[] = "custom key";

std::string Quoted(const std::string& text) {
  Value value;
  value.set_string_value(text);
  return wire::ValueToGoJson(value);
}

// The fields of one JSON object. Those of the key's own messages leave out what is empty; the
// entries of a map stay whatever they hold.
class Object {
 public:
  void Add(const std::string& key, std::string json) { fields_.emplace_back(key, std::move(json)); }
  void AddText(const std::string& key, const std::string& text) {
    if (!text.empty()) Add(key, Quoted(text));
  }
  void AddObject(const std::string& key, const Object& object) {
    if (!object.fields_.empty()) Add(key, object.Text());
  }

  std::string Text() const {
    auto sorted = fields_;
    std::sort(sorted.begin(), sorted.end());
    std::string text = "{";
    for (const auto& [key, json] : sorted) {
      if (text.size() > 1) text += ',';
      text += Quoted(key) + ":" + json;
    }
    return text + "}";
  }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

std::string ListText(const std::vector<std::string>& items) {
  std::string text = "[";
  for (const std::string& item : items) text += (text.size() > 1 ? "," : "") + Quoted(item);
  return text + "]";
}

std::string Joined(const std::vector<std::string>& items, std::string_view separator) {
  std::string text;
  for (const std::string& item : items) {
    if (!text.empty()) text += separator;
    text += item;
  }
  return text;
}

template <typename Map>
std::vector<std::string> SortedKeys(const Map& map) {
  std::vector<std::string> keys;
  for (const auto& entry : map) keys.push_back(entry.first);
  std::sort(keys.begin(), keys.end());
  return keys;
}

// Old pipelines declare outputs by the three types that came before.
std::string OutputType(const ComponentOutputsSpec::ParameterSpec& output) {
  using ml_pipelines::PrimitiveType;
  const bool is_old =
      output.parameter_type() == ml_pipelines::ParameterType::PARAMETER_TYPE_ENUM_UNSPECIFIED &&
      output.type() != PrimitiveType::PRIMITIVE_TYPE_UNSPECIFIED;
  return is_old ? PrimitiveType::PrimitiveTypeEnum_Name(output.type())
                : spec::TypeName(output.parameter_type());
}

Object TypeObject(const ml_pipelines::ArtifactTypeSchema& type) {
  Object object;
  if (type.has_instance_schema()) object.Add("instanceSchema", Quoted(type.instance_schema()));
  if (type.has_schema_title()) object.Add("schemaTitle", Quoted(type.schema_title()));
  if (type.has_schema_uri()) object.Add("schemaUri", Quoted(type.schema_uri()));
  object.AddText("schemaVersion", type.schema_version());
  return object;
}

std::string TypeShown(const ml_pipelines::ArtifactTypeSchema& type) {
  if (type.has_schema_title()) return type.schema_title();
  return type.has_schema_uri() ? type.schema_uri() : type.instance_schema();
}

/// Collects the key and, beside it, its parts.
class Maker {
 public:
  explicit Maker(const KeyFacts& facts) : facts_(facts) {}

  v1::CacheRecord Make() {
    if (!facts_.custom_key.empty()) return MakeCustom();
    AddContainer();
    AddParameters();
    AddArtifacts();
    AddOutputs();
    record_.set_fingerprint(base::Sha256Hex(key_.Text()));
    return std::move(record_);
  }

 private:
  v1::CacheRecord MakeCustom() {
    // The separator keeps ("a", "bc") from being ("ab", "c").
    const std::string prefix =
        facts_.component.empty() ? "" : facts_.component + std::string(1, '\0');
    record_.set_fingerprint(base::Sha256Hex(prefix + facts_.custom_key));
    AddPart("component", facts_.component, facts_.component);
    AddPart(kCustomKey, facts_.custom_key, facts_.custom_key);
    return std::move(record_);
  }

  void AddContainer() {
    Object container;
    const std::string& image = facts_.container->image();
    container.AddText("image", image);
    AddPart("image", image, image);
    std::vector<std::string> words(facts_.container->command().begin(),
                                   facts_.container->command().end());
    words.insert(words.end(), facts_.container->args().begin(), facts_.container->args().end());
    const std::string command = ListText(words);
    if (!words.empty()) container.Add("cmdArgs", command);
    AddPart("command", command, Joined(words, " "));
    const std::set<std::string> unique(facts_.claims.begin(), facts_.claims.end());
    if (!unique.empty()) {
      const std::vector<std::string> claims(unique.begin(), unique.end());
      container.Add("pvcNames", ListText(claims));
      AddPart("volume claims", ListText(claims), Joined(claims, ", "));
    }
    key_.AddObject("containerSpec", container);
  }

  void AddParameters() {
    Object parameters;
    for (const std::string& name : SortedKeys(*facts_.parameters)) {
      const std::string json = wire::ValueToGoJson(facts_.parameters->at(name));
      parameters.Add(name, json);
      AddPart("input '" + name + "'", json, json);
    }
    key_.AddObject("inputParameterValues", parameters);
  }

  void AddArtifacts() {
    Object artifacts;
    for (const std::string& name : SortedKeys(*facts_.artifacts)) {
      std::vector<std::string> ids;
      for (const v1::Artifact& artifact : facts_.artifacts->at(name).artifacts()) {
        ids.push_back(std::to_string(artifact.key()));
      }
      Object list;
      if (!ids.empty()) list.Add("artifactNames", ListText(ids));
      artifacts.Add(name, list.Text());
      AddPart("artifact '" + name + "'", list.Text(),
              ids.empty() ? "an empty list" : "number " + Joined(ids, ", "));
    }
    key_.AddObject("inputArtifactNames", artifacts);
  }

  void AddOutputs() {
    Object parameters;
    for (const std::string& name : SortedKeys(facts_.outputs->parameters())) {
      const std::string type = OutputType(facts_.outputs->parameters().at(name));
      parameters.Add(name, Quoted(type));
      AddPart("output '" + name + "'", type, type);
    }
    key_.AddObject("outputParametersSpec", parameters);
    Object artifacts;
    for (const std::string& name : SortedKeys(facts_.outputs->artifacts())) {
      const auto& output = facts_.outputs->artifacts().at(name);
      const std::string json = ArtifactText(name, output);
      artifacts.Add(name, json);
      AddPart("output artifact '" + name + "'", json, TypeShown(output.artifact_type()));
    }
    key_.AddObject("outputArtifactsSpec", artifacts);
  }

  static std::string ArtifactText(const std::string& name,
                                  const ComponentOutputsSpec::ArtifactSpec& output) {
    Object artifact;
    artifact.AddText("name", name);
    if (output.has_artifact_type()) {
      artifact.Add("type", TypeObject(output.artifact_type()).Text());
    }
    if (output.has_metadata()) {
      Value metadata;
      *metadata.mutable_struct_value() = output.metadata();
      artifact.Add("metadata", wire::ValueToGoJson(metadata));
    }
    return artifact.Text();
  }

  void AddPart(const std::string& name, const std::string& content, const std::string& shown) {
    auto& part = *record_.add_parts();
    part.set_name(name);
    part.set_digest(base::Sha256Hex(content));
    part.set_shown(base::Shortened(shown, kShownBytes));
  }

  const KeyFacts& facts_;
  Object key_;
  v1::CacheRecord record_;
};

const v1::CacheRecord::Part* FindPart(const v1::CacheRecord& record, const std::string& name) {
  for (const auto& part : record.parts()) {
    if (part.name() == name) return &part;
  }
  return nullptr;
}

// What tells two values apart may lie behind the cut.
std::string Changed(const std::string& name, const std::string& now, const std::string& then) {
  if (now == then || now.empty() || then.empty()) return name + " changed";
  return name + " is " + now + ", was " + then;
}

std::vector<std::string> Differences(const v1::CacheRecord& now, const v1::CacheRecord& then) {
  const auto* key_now = FindPart(now, kCustomKey);
  const auto* key_then = FindPart(then, kCustomKey);
  std::vector<std::string> differences;
  if ((key_now == nullptr) != (key_then == nullptr)) {
    // Nothing else of the two can be compared.
    differences.push_back(key_now != nullptr ? "custom key is new" : "custom key is gone");
    return differences;
  }
  for (const auto& part : now.parts()) {
    const auto* old = FindPart(then, part.name());
    if (old == nullptr) {
      differences.push_back(part.name() + " is new");
    } else if (old->digest() != part.digest()) {
      // Two programs side by side say nothing in one line.
      const bool is_code = part.name() == "command";
      differences.push_back(is_code ? "command changed"
                                    : Changed(part.name(), part.shown(), old->shown()));
    }
  }
  for (const auto& part : then.parts()) {
    if (FindPart(now, part.name()) == nullptr) differences.push_back(part.name() + " is gone");
  }
  if (now.realm() != then.realm()) {
    differences.push_back(Changed("what it runs on", base::Shortened(now.realm(), kShownBytes),
                                  base::Shortened(then.realm(), kShownBytes)));
  }
  return differences;
}

}  // namespace

v1::CacheRecord MakeCacheRecord(const KeyFacts& facts) { return Maker(facts).Make(); }

std::string DescribeDifference(const v1::CacheRecord& now, const v1::CacheRecord& then) {
  std::vector<std::string> differences = Differences(now, then);
  const auto count = static_cast<int>(differences.size());
  if (count > kShownDifferences) {
    differences.resize(kShownDifferences);
    differences.push_back("and " + std::to_string(count - kShownDifferences) + " more");
  }
  return Joined(differences, "; ");
}

}  // namespace caudal::engine
