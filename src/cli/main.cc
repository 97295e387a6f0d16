#include "cli/cli.h"

int main(int argc, char** argv) { return caudal::cli::Main(argc, argv); }
