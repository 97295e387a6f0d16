#pragma once

/// SQL connections: prepared statements by text, typed parameters and rows, transactions.
///
/// The SQL that goes through here must mean the same in SQLite and PostgreSQL: parameters are `$1`,
/// `$2`, … in order of appearance, times are int64 microseconds, bodies are BLOB/BYTEA.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace caudal::sql {

/// Binary data, as opposed to text. A view: must live until the call returns.
struct Blob {
  std::string_view bytes;
};

using Param = std::variant<std::nullptr_t, int64_t, double, std::string_view, Blob>;
using Params = std::vector<Param>;

/// One result row; valid inside the callback only.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  bool IsNull(int column) const;
  int64_t Int(int column) const;
  double Real(int column) const;
  std::string Text(int column) const;  ///< of text or blob

 private:
  sqlite3_stmt* statement_;
};

enum class OpenMode { kReadWrite, kReadOnly };

/// One connection. Not thread-safe: one thread at a time.
///
/// Errors everywhere: kAlreadyExists for a broken uniqueness, kFailedPrecondition for a reference
/// to a row that is not there, kResourceExhausted for a full disk, kUnavailable while another
/// connection holds the lock, else kInternal; the message has the database's own words.
class Database {
 public:
  /// Opens, and creates when missing, with WAL and synchronous=FULL. ":memory:" for tests.
  static base::Result<std::unique_ptr<Database>> Open(const std::string& path, OpenMode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Runs one statement that returns no rows.
  base::Status Execute(std::string_view sql, const Params& params = {});
  /// Runs several statements without parameters (schema).
  base::Status ExecuteScript(const std::string& sql);
  /// Runs a query; `on_row` for each row. `on_row` must not use this database.
  base::Status Query(std::string_view sql, const Params& params,
                     const std::function<void(const Row&)>& on_row);
  /// Rows changed by the last Execute.
  int64_t Changes() const;
  /// Key given to the last inserted row.
  int64_t LastInsertKey() const;

  /// Runs `body` between BEGIN IMMEDIATE and COMMIT; any error rolls everything back and is
  /// returned.
  base::Status InTransaction(const std::function<base::Status()>& body);

  /// Runs several queries on one snapshot of the database.
  base::Status InReadTransaction(const std::function<base::Status()>& body);

  /// Tests only: asked before every statement and after every commit (with "COMMITTED"); an error
  /// is returned as if the database had failed there.
  void SetFaultHookForTest(std::function<base::Status(std::string_view sql)> hook);

 private:
  explicit Database(sqlite3* connection) : connection_(connection) {}
  base::Result<sqlite3_stmt*> Prepare(std::string_view sql);
  void DropStatements();
  base::Status Bind(sqlite3_stmt* statement, const Params& params);
  base::Status Fault(std::string_view sql);
  base::Status LastError(std::string_view sql) const;

  sqlite3* connection_;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
  std::function<base::Status(std::string_view)> fault_hook_;
};

}  // namespace caudal::sql
