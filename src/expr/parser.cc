#include "expr/internal/parser.h"

#include <algorithm>
#include <array>

#include "expr/internal/lexer.h"

namespace caudal::expr {
namespace {

constexpr std::string_view kReserved[] = {
    "as", "break", "const", "continue", "else",      "for",    "function", "if",   "import",
    "in", "let",   "loop",  "package",  "namespace", "return", "var",      "void", "while"};

struct Binary {
  std::string_view sign;
  int precedence;
  Function function;  // kUnknown for && and ||
};

constexpr Binary kBinaries[] = {
    {"||", 1, Function::kUnknown}, {"&&", 2, Function::kUnknown},
    {"==", 3, Function::kEqual},   {"!=", 3, Function::kNotEqual},
    {"<", 3, Function::kLess},     {"<=", 3, Function::kLessEqual},
    {">", 3, Function::kGreater},  {">=", 3, Function::kGreaterEqual},
    {"in", 3, Function::kIn},      {"+", 4, Function::kAdd},
    {"-", 4, Function::kSubtract}, {"*", 5, Function::kMultiply},
    {"/", 5, Function::kDivide},   {"%", 5, Function::kModulo},
};

struct Macro {
  std::string_view name;
  Operation operation;
};

constexpr Macro kMacros[] = {
    {"all", Operation::kAll},
    {"exists", Operation::kExists},
    {"exists_one", Operation::kExistsOne},
    {"existsOne", Operation::kExistsOne},
    {"filter", Operation::kFilter},
    {"map", Operation::kTransform},
};

class Parser {
 public:
  explicit Parser(std::string_view text) : tokens_(Tokenize(text)) {}

  Parsed Run() {
    NodePtr root = Expression();
    if (root && token().kind != TokenKind::kEnd) root = Unexpected();
    return {.root = std::move(root), .fault = std::move(fault_)};
  }

 private:
  const Token& token() const { return tokens_[next_]; }
  void Advance() {
    if (next_ + 1 < tokens_.size()) ++next_;
  }
  bool At(std::string_view sign) const {
    return token().kind == TokenKind::kSign && token().text == sign;
  }
  bool Take(std::string_view sign) {
    if (!At(sign)) return false;
    Advance();
    return true;
  }

  NodePtr Fail(size_t offset, std::string message) {
    if (fault_.message.empty()) fault_ = {offset, std::move(message)};
    return nullptr;
  }

  /// The token in turn has no place here.
  NodePtr Unexpected(std::string_view wanted = "") {
    const Token& at = token();
    const std::string want = wanted.empty() ? "" : ", want " + std::string(wanted);
    if (AfterString()) {
      return Fail(
          at.offset,
          "syntax error after a string; quotes inside strings must be escaped (\\' or \\\")");
    }
    if (at.kind == TokenKind::kBad) return Fail(at.offset, at.text);
    if (at.kind == TokenKind::kEnd) return Fail(at.offset, "the expression ends too early" + want);
    std::string seen = "'" + at.text + "'";
    if (at.kind == TokenKind::kString) seen = "a string";
    if (at.kind == TokenKind::kBytes) seen = "bytes";
    if (at.text == "and" || at.text == "or") {
      seen += at.text == "and" ? ", did you mean '&&'" : ", did you mean '||'";
    }
    return Fail(at.offset, "unexpected " + seen + want);
  }

  /// A word, a literal or nonsense right behind a string: most likely a quote in it ended it.
  bool AfterString() const {
    if (next_ == 0 || tokens_[next_ - 1].kind != TokenKind::kString) return false;
    const TokenKind kind = token().kind;
    return kind != TokenKind::kEnd && kind != TokenKind::kSign;
  }

  NodePtr Make(Operation operation, size_t offset, std::vector<NodePtr> children = {}) {
    auto node = std::make_unique<Node>();
    node->operation = operation;
    node->offset = offset;
    for (const NodePtr& child : children) {
      if (!child) return nullptr;
      node->height = std::max(node->height, child->height + 1);
    }
    if (node->height > kMaxNesting) return Fail(offset, TooDeep());
    node->children = std::move(children);
    return node;
  }

  static std::string TooDeep() {
    return "the expression is nested deeper than " + std::to_string(kMaxNesting);
  }

  template <typename... Nodes>
  static std::vector<NodePtr> ListOf(Nodes... nodes) {
    std::vector<NodePtr> list;
    (list.push_back(std::move(nodes)), ...);
    return list;
  }

  NodePtr Constant(size_t offset, Value value) {
    NodePtr node = Make(Operation::kConstant, offset);
    node->constant = std::move(value);
    return node;
  }

  NodePtr Call(Function function, std::string name, size_t offset, std::vector<NodePtr> arguments) {
    NodePtr node = Make(Operation::kCall, offset, std::move(arguments));
    if (!node) return nullptr;
    node->function = function;
    node->name = std::move(name);
    return node;
  }

  NodePtr Expression() {
    if (++depth_ > kMaxNesting) return Fail(token().offset, TooDeep());
    NodePtr node = Operators(1);
    if (node && At("?")) node = Conditional(std::move(node));
    --depth_;
    return node;
  }

  NodePtr Conditional(NodePtr condition) {
    const size_t offset = token().offset;
    Advance();
    NodePtr yes = Operators(1);
    if (!yes) return nullptr;
    if (!Take(":")) return Unexpected("':'");
    NodePtr no = Expression();
    if (!no) return nullptr;
    return Make(Operation::kConditional, offset,
                ListOf(std::move(condition), std::move(yes), std::move(no)));
  }

  const Binary* BinaryHere() const {
    const bool word = token().kind == TokenKind::kIdentifier && token().text == "in";
    if (!word && token().kind != TokenKind::kSign) return nullptr;
    for (const Binary& binary : kBinaries) {
      if (binary.sign == token().text) return &binary;
    }
    return nullptr;
  }

  NodePtr Operators(int precedence) {
    NodePtr left = Unary();
    while (left) {
      const Binary* binary = BinaryHere();
      if (binary == nullptr || binary->precedence < precedence) break;
      const size_t offset = token().offset;
      Advance();
      NodePtr right = Operators(binary->precedence + 1);
      if (!right) return nullptr;
      left = Join(*binary, offset, std::move(left), std::move(right));
    }
    return left;
  }

  NodePtr Join(const Binary& binary, size_t offset, NodePtr left, NodePtr right) {
    if (binary.function != Function::kUnknown) {
      return Call(binary.function, std::string(binary.sign), offset,
                  ListOf(std::move(left), std::move(right)));
    }
    const Operation operation = binary.sign == "&&" ? Operation::kAnd : Operation::kOr;
    if (left->operation != operation || left->grouped) {
      return Make(operation, offset, ListOf(std::move(left), std::move(right)));
    }
    // A chain is one node, however long: conditions of an Elif have a part for each before it.
    left->height = std::max(left->height, right->height + 1);
    if (left->height > kMaxNesting) return Fail(offset, TooDeep());
    left->children.push_back(std::move(right));
    return left;
  }

  NodePtr Unary() {
    const size_t offset = token().offset;
    const std::string sign = token().text;
    if (!At("!") && !At("-")) return Member();
    bool odd = false;
    while (Take(sign)) odd = !odd;
    if (odd && sign == "-" && IsNumber(token().kind)) return Postfix(Number("-"));
    NodePtr operand = Member();
    if (!operand || !odd) return operand;
    return Call(sign == "!" ? Function::kNot : Function::kNegate, sign, offset,
                ListOf(std::move(operand)));
  }

  static bool IsNumber(TokenKind kind) {
    return kind == TokenKind::kInt || kind == TokenKind::kDouble;
  }

  NodePtr Member() { return Postfix(Primary()); }

  NodePtr Postfix(NodePtr node) {
    while (node) {
      const size_t offset = token().offset;
      if (Take("[")) {
        NodePtr index = Expression();
        if (!index) return nullptr;
        if (!Take("]")) return Unexpected("']'");
        node = Call(Function::kIndex, "[]", offset, ListOf(std::move(node), std::move(index)));
      } else if (Take(".")) {
        node = Selection(std::move(node));
      } else {
        break;
      }
    }
    return node;
  }

  NodePtr Selection(NodePtr object) {
    const Token name = token();
    if (name.kind != TokenKind::kIdentifier && name.kind != TokenKind::kQuoted) {
      return Unexpected("the name of a field");
    }
    if (name.text == "in" || name.text == "true" || name.text == "false" || name.text == "null") {
      return Unexpected("the name of a field");
    }
    Advance();
    if (name.kind == TokenKind::kIdentifier && At("(")) return Method(std::move(object), name);
    NodePtr node = Make(Operation::kSelect, name.offset, ListOf(std::move(object)));
    if (node) node->name = name.text;
    return node;
  }

  NodePtr Method(NodePtr object, const Token& name) {
    Advance();
    std::vector<NodePtr> arguments = ListOf(std::move(object));
    if (!Items(")", &arguments)) return nullptr;
    for (const Macro& macro : kMacros) {
      const bool fits = arguments.size() == 3 ||
                        (arguments.size() == 4 && macro.operation == Operation::kTransform);
      if (macro.name == name.text && fits) {
        return Comprehension(macro, name.offset, std::move(arguments));
      }
    }
    NodePtr node = Call(Function::kUnknown, name.text, name.offset, std::move(arguments));
    if (node) node->method = true;
    return node;
  }

  NodePtr Comprehension(const Macro& macro, size_t offset, std::vector<NodePtr> arguments) {
    const NodePtr variable = std::move(arguments[1]);
    if (variable->operation != Operation::kVariable || variable->absolute || variable->grouped) {
      return Fail(variable->offset, "the first argument of " + std::string(macro.name) +
                                        "() is the name of its variable");
    }
    arguments.erase(arguments.begin() + 1);
    NodePtr node = Make(macro.operation, offset, std::move(arguments));
    if (node) node->name = variable->name;
    return node;
  }

  /// Expressions with commas between them, up to `end`, which is taken too.
  bool Items(std::string_view end, std::vector<NodePtr>* items, bool trailing_comma = false) {
    if (Take(end)) return true;
    do {
      if (trailing_comma && Take(end)) return true;
      items->push_back(Expression());
      if (!items->back()) return false;
    } while (Take(","));
    if (!Take(end)) {
      Unexpected("'" + std::string(end) + "' or ','");
      return false;
    }
    return true;
  }

  NodePtr Primary() {
    const Token at = token();
    switch (at.kind) {
      case TokenKind::kInt:
      case TokenKind::kUint:
      case TokenKind::kDouble:
        return Number("");
      case TokenKind::kString:
        Advance();
        return Constant(at.offset, Value::OfString(at.text));
      case TokenKind::kBytes:
        Advance();
        return Constant(at.offset, Value::OfBytes(at.text));
      case TokenKind::kIdentifier:
        return Identifier(false);
      default:
        break;
    }
    if (Take("(")) return Group();
    if (Take("[")) {
      std::vector<NodePtr> elements;
      if (!Items("]", &elements, true)) return nullptr;
      return Make(Operation::kList, at.offset, std::move(elements));
    }
    if (Take("{")) return MapLiteral(at.offset);
    if (At(".") && tokens_[next_ + 1].kind == TokenKind::kIdentifier) {
      Advance();
      return Identifier(true);
    }
    return Unexpected("a value");
  }

  NodePtr Group() {
    NodePtr node = Expression();
    if (!node) return nullptr;
    if (!Take(")")) return Unexpected("')'");
    node->grouped = true;
    return node;
  }

  NodePtr MapLiteral(size_t offset) {
    std::vector<NodePtr> entries;
    while (!Take("}")) {
      NodePtr key = Expression();
      if (!key) return nullptr;
      if (!Take(":")) return Unexpected("':'");
      NodePtr value = Expression();
      if (!value) return nullptr;
      entries.push_back(std::move(key));
      entries.push_back(std::move(value));
      if (!Take(",") && !At("}")) return Unexpected("'}' or ','");
    }
    return Make(Operation::kMap, offset, std::move(entries));
  }

  NodePtr Identifier(bool absolute) {
    const Token at = token();
    if (!absolute) {
      if (at.text == "true" || at.text == "false") {
        Advance();
        return Constant(at.offset, Value::OfBool(at.text == "true"));
      }
      if (at.text == "null") {
        Advance();
        return Constant(at.offset, Value());
      }
    }
    if (std::ranges::find(kReserved, at.text) != std::end(kReserved)) {
      return Fail(at.offset, "'" + at.text + "' is a reserved word");
    }
    Advance();
    if (Take("(")) return GlobalCall(at);
    if (At("{")) return Fail(token().offset, "messages cannot be made in an expression");
    NodePtr node = Make(Operation::kVariable, at.offset);
    node->name = at.text;
    node->absolute = absolute;
    return node;
  }

  NodePtr GlobalCall(const Token& name) {
    std::vector<NodePtr> arguments;
    if (!Items(")", &arguments)) return nullptr;
    if (name.text != "has" || arguments.size() != 1) {
      return Call(Function::kUnknown, name.text, name.offset, std::move(arguments));
    }
    NodePtr field = std::move(arguments[0]);
    if (field->operation != Operation::kSelect) {
      return Fail(field->offset, "has() wants a field, as in has(a.b)");
    }
    field->operation = Operation::kHas;
    return field;
  }

  NodePtr Number(const std::string& sign) {
    const Token at = token();
    Advance();
    Outcome value = NumberOf(at, sign);
    if (!value.ok()) return Fail(at.offset, value.status().message());
    return Constant(at.offset, *std::move(value));
  }

  std::vector<Token> tokens_;
  size_t next_ = 0;
  int depth_ = 0;
  SourceFault fault_;
};

}  // namespace

Parsed Parse(std::string_view text) {
  if (text.size() > kMaxText) {
    return {.root = nullptr, .fault = {0, "the expression is longer than 64 KiB"}};
  }
  return Parser(text).Run();
}

}  // namespace caudal::expr
