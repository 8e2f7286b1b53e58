#include "cli/command.h"

int main(int argc, char** argv) {
  return fdllm::cli::run_program(argc, argv);
}
