#include "sql/database.h"

#include <sqlite3.h>

namespace caudal::sql {
namespace {

using base::Code;
using base::Status;

// Lists make statements as different as what they are asked for: the cache must not grow with them.
constexpr size_t kMostStatements = 256;

Code CodeOf(int sqlite_code) {
  switch (sqlite_code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return Code::kAlreadyExists;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
      return Code::kFailedPrecondition;
    default:
      break;
  }
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
      return Code::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::kUnavailable;
    default:
      return Code::kInternal;
  }
}

}  // namespace

bool Row::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}
int64_t Row::Int(int column) const { return sqlite3_column_int64(statement_, column); }
double Row::Real(int column) const { return sqlite3_column_double(statement_, column); }
std::string Row::Text(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return size == 0 ? std::string() : std::string(static_cast<const char*>(data), size);
}

base::Result<std::unique_ptr<Database>> Database::Open(const std::string& path, OpenMode mode) {
  sqlite3* connection = nullptr;
  const int flags = mode == OpenMode::kReadOnly ? SQLITE_OPEN_READONLY
                                                : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int opened =
      sqlite3_open_v2(path.c_str(), &connection, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(connection));
  if (opened != SQLITE_OK) {
    return Status(CodeOf(opened), "cannot open database " + path + ": " + sqlite3_errstr(opened));
  }
  sqlite3_busy_timeout(connection, 10'000);
  CAUDAL_TRY(database->ExecuteScript(
      mode == OpenMode::kReadOnly
          ? "PRAGMA mmap_size=268435456"
          // Checkpoints run on their own thread; the automatic one is only a backstop.
          : "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
            "PRAGMA wal_autocheckpoint=4000"));
  return database;
}

Database::~Database() {
  DropStatements();
  sqlite3_close_v2(connection_);
}

void Database::DropStatements() {
  for (auto& [text, statement] : statements_) sqlite3_finalize(statement);
  statements_.clear();
}

Status Database::LastError(std::string_view sql) const {
  const int code = sqlite3_extended_errcode(connection_);
  return Status(CodeOf(code), std::string("database: ") + sqlite3_errmsg(connection_) + " in \"" +
                                  std::string(sql.substr(0, 120)) + "\"");
}

Status Database::Fault(std::string_view sql) { return fault_hook_ ? fault_hook_(sql) : Status(); }

base::Result<sqlite3_stmt*> Database::Prepare(std::string_view sql) {
  const auto found = statements_.find(std::string(sql));
  if (found != statements_.end()) return found->second;
  if (statements_.size() >= kMostStatements) DropStatements();  // none is running: see Query
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(connection_, sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    return LastError(sql);
  }
  statements_.emplace(sql, statement);
  return statement;
}

Status Database::Bind(sqlite3_stmt* statement, const Params& params) {
  int index = 0;
  for (const Param& param : params) {
    ++index;
    int code = SQLITE_OK;
    if (std::holds_alternative<std::nullptr_t>(param)) {
      code = sqlite3_bind_null(statement, index);
    } else if (const auto* number = std::get_if<int64_t>(&param)) {
      code = sqlite3_bind_int64(statement, index, *number);
    } else if (const auto* real = std::get_if<double>(&param)) {
      code = sqlite3_bind_double(statement, index, *real);
    } else if (const auto* text = std::get_if<std::string_view>(&param)) {
      const char* data = text->data() != nullptr ? text->data() : "";
      code = sqlite3_bind_text64(statement, index, data, text->size(), SQLITE_STATIC, SQLITE_UTF8);
    } else {
      const std::string_view bytes = std::get<Blob>(param).bytes;
      const char* data = bytes.data() != nullptr ? bytes.data() : "";
      code = sqlite3_bind_blob64(statement, index, data, bytes.size(), SQLITE_STATIC);
    }
    if (code != SQLITE_OK) return LastError(sqlite3_sql(statement));
  }
  return {};
}

Status Database::Query(std::string_view sql, const Params& params,
                       const std::function<void(const Row&)>& on_row) {
  CAUDAL_TRY(Fault(sql));
  CAUDAL_ASSIGN(sqlite3_stmt * statement, Prepare(sql));
  Status result = Bind(statement, params);
  while (result.ok()) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) break;
    if (code == SQLITE_ROW) {
      on_row(Row(statement));
    } else {
      result = LastError(sql);
    }
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return result;
}

Status Database::Execute(std::string_view sql, const Params& params) {
  return Query(sql, params, [](const Row&) {});
}

Status Database::ExecuteScript(const std::string& sql) {
  char* message = nullptr;
  const int code = sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, &message);
  const std::string text = message != nullptr ? message : "";
  sqlite3_free(message);
  if (code != SQLITE_OK) return Status(CodeOf(code), "database: " + text);
  return {};
}

int64_t Database::Changes() const { return sqlite3_changes64(connection_); }
int64_t Database::LastInsertKey() const { return sqlite3_last_insert_rowid(connection_); }

Status Database::InTransaction(const std::function<Status()>& body) {
  CAUDAL_TRY(Execute("BEGIN IMMEDIATE"));
  Status result = body();
  if (result.ok()) result = Execute("COMMIT");
  if (!result.ok()) {
    // Some errors (a full disk) have rolled back already; the second attempt is then harmless.
    [[maybe_unused]] const int ignored =
        sqlite3_exec(connection_, "ROLLBACK", nullptr, nullptr, nullptr);
    return result;
  }
  return Fault("COMMITTED");
}

Status Database::InReadTransaction(const std::function<Status()>& body) {
  CAUDAL_TRY(Execute("BEGIN"));
  Status result = body();
  const Status ended = Execute("COMMIT");
  return result.ok() ? ended : result;
}

void Database::SetFaultHookForTest(std::function<Status(std::string_view)> hook) {
  fault_hook_ = std::move(hook);
}

}  // namespace caudal::sql
