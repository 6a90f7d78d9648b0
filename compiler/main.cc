// SPDX-License-Identifier: Apache-2.0
// The `rulec` command: parses its line, runs one subcommand, turns our own bugs into exit status 3.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>
#include <system_error>

#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "compiler/command/command.h"

// Async-signal-safe: only write and _exit.
extern "C" void report_bug(int) {
  constexpr std::string_view text =
      "rulec: this is a bug of rulec, not of your input; nothing was written. Please report it "
      "with the command line and the files, if you may share them\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
  _exit(rulec::command::bug);
}

int main(int argc, char** argv) {
#if defined(__GLIBC__)
  mallopt(M_TOP_PAD, 16 << 20);  // a large model is many small pieces: ask the system less often
#endif
  for (int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS})
    std::signal(signal, report_bug);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    const int status = rulec::command::run(argc, argv);
    // What is left (a large model, the tables of operators) goes faster with the process than by
    // taking it apart.
    std::fflush(nullptr);
    _exit(status);
  } catch (const std::bad_alloc&) {
    std::fputs("rulec: out of memory\n", stderr);
    return rulec::command::input_fault;
  } catch (const std::system_error& error) {
    // Who reads our output may stop reading it (`rulec inspect … | head`).
    if (error.code() == std::errc::broken_pipe) _exit(rulec::command::done);
    std::fprintf(stderr, "rulec: %s\n", error.what());
    report_bug(0);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "rulec: %s\n", exception.what());
    report_bug(0);
  }
}
