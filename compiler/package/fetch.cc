// SPDX-License-Identifier: Apache-2.0
// Packages from Git, and copies of packages.
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compiler/package/resolve.h"

extern char** environ;

namespace rulec {

namespace fs = std::filesystem;

// Runs a program with its output taken; an Error holds what it said.
static Result<std::string> run_program(std::vector<std::string> words) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return make_error("cannot run `{}`: {}", words[0], std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  std::vector<char*> arguments;
  for (std::string& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed =
      ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string out;
  char buffer[4096];
  for (ssize_t got = 0; failed == 0 && (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    out.append(buffer, static_cast<std::size_t>(got));
  ::close(ends[0]);
  if (failed != 0) return make_error("cannot run `{}`: {}", words[0], std::strerror(failed));
  int status = 0;
  ::waitpid(child, &status, 0);
  while (!out.empty() && out.back() == '\n')
    out.pop_back();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return make_error("`{} {}` failed: {}", words[0], words.size() > 1 ? words[1] : "", out);
  return out;
}

Status copy_package(const fs::path& from, const fs::path& to) {
  std::error_code code;
  for (const fs::path& file : package_files(from)) {
    fs::create_directories((to / file).parent_path(), code);
    if (!code) fs::copy_file(from / file, to / file, fs::copy_options::overwrite_existing, code);
    if (code) return make_error("cannot write {}: {}", (to / file).string(), code.message());
  }
  return Done{};
}

Result<fs::path> fetch_git(PackageSource& source) {
  if (source.place.starts_with("-") || source.revision.starts_with("-"))
    return make_error("`{}` is no URL of a repository", source.place);
  std::error_code code;
  fs::create_directories(package_cache(), code);
  std::string folder = (package_cache() / "clone-XXXXXX").string();
  if (code || ::mkdtemp(folder.data()) == nullptr)
    return make_error("cannot make a folder in {}: {}", package_cache().string(),
                      code ? code.message() : std::strerror(errno));
  const auto fetched = [&]() -> Result<fs::path> {
    auto cloned = run_program({"git", "clone", "--quiet", "--", source.place, folder});
    if (!cloned) return cloned.error();
    if (!source.revision.empty()) {
      auto there =
          run_program({"git", "-C", folder, "checkout", "--quiet", "--detach", source.revision});
      if (!there) {
        auto remote = run_program(
            {"git", "-C", folder, "checkout", "--quiet", "--detach", "origin/" + source.revision});
        if (!remote) return make_error("{} has no revision `{}`", source.place, source.revision);
      }
    }
    auto commit = run_program({"git", "-C", folder, "rev-parse", "HEAD"});
    if (!commit) return commit.error();
    const fs::path package = fs::path(folder) / source.folder;
    if (package.lexically_normal().string().find("..") != std::string::npos)
      return make_error("`{}` leaves the repository", source.folder);
    if (!fs::exists(package / manifest_name, code))
      return make_error(
          "{} has no {}{}", source.place, source.folder.empty() ? "" : source.folder,
          source.folder.empty() ? std::string(manifest_name) : "/" + std::string(manifest_name));
    auto hash = package_hash(package);
    if (!hash) return hash.error();
    source.revision = *commit;
    const fs::path kept = package_cache() / hash->substr(hash->find(':') + 1);
    if (Status copied = copy_package(package, kept); !copied) return copied.error();
    return kept;
  }();
  fs::remove_all(folder, code);
  return fetched;
}

}  // namespace rulec
