// The program that the room's tests start as a supervisor: `… supervise --data-dir DIR`.

#include <cstdlib>
#include <cstring>

#include "supervisor/supervisor.h"

namespace {

int Seconds(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 || std::strcmp(argv[1], "supervise") != 0) return 2;
  caudal::supervisor::Options options;
  options.data_dir = argv[3];
  options.unclaimed_seconds = Seconds("CAUDAL_TEST_UNCLAIMED", options.unclaimed_seconds);
  options.idle_seconds = Seconds("CAUDAL_TEST_IDLE", options.idle_seconds);
  return caudal::supervisor::Run(options);
}
