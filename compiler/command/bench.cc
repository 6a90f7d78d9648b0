// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

#include <nlohmann/json.hpp>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "compiler/command/peak.h"
#include "compiler/command/subject.h"

namespace rulec::command {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

namespace {

// One engine under the clock.
struct Run {
  std::unique_ptr<Subject> subject;
  Named inputs;
  std::int64_t batch = 1;
  double load_ms = 0, first_ms = 0;  // first: from opening to the first result
  std::vector<double> samples;       // ms
  double images_per_second = 0;      // of several callers at once, where they were asked for
  // Of each operation, nanoseconds: their sum until now, and those of each timed run.
  std::vector<std::uint64_t> profile_before;
  std::vector<std::vector<double>> operation_samples;
};

struct Statistics {
  double p50 = 0, p90 = 0, p99 = 0, min = 0, max = 0, mean = 0, stddev = 0;
};

struct Memory {
  std::int64_t anonymous = 0, file = 0, peak = 0;  // bytes
};

struct Ratio {
  double ratio = 1, low = 1, high = 1;
};

}  // namespace

// Of what the kernel says about this process, in kB.
static Memory read_memory() {
  Memory out;
  std::FILE* status = std::fopen("/proc/self/status", "r");
  if (status == nullptr) return out;
  char line[256];
  while (std::fgets(line, sizeof line, status) != nullptr) {
    const auto field = [&line](std::string_view name, std::int64_t& to) {
      if (std::string_view(line).starts_with(name)) to = 1024 * std::atoll(line + name.size());
    };
    field("RssAnon:", out.anonymous);
    field("RssFile:", out.file);
    field("VmHWM:", out.peak);
  }
  std::fclose(status);
  return out;
}

static double quantile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(place);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (place - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

static Statistics statistics_of(std::vector<double> samples) {
  Statistics out;
  std::sort(samples.begin(), samples.end());
  out.p50 = quantile(samples, 0.5);
  out.p90 = quantile(samples, 0.9);
  out.p99 = quantile(samples, 0.99);
  out.min = samples.front();
  out.max = samples.back();
  for (const double sample : samples)
    out.mean += sample / static_cast<double>(samples.size());
  for (const double sample : samples)
    out.stddev += (sample - out.mean) * (sample - out.mean);
  out.stddev =
      samples.size() > 1 ? std::sqrt(out.stddev / static_cast<double>(samples.size() - 1)) : 0;
  return out;
}

static Result<double> time_once(Run& run) {
  const auto start = Clock::now();
  const auto outputs = run.subject->run(run.inputs);
  const double ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  if (!outputs) return outputs.error();
  return ms;
}

// Puts the times of the operations of the run just done with the others.
static void note_operations(Run& run) {
  const auto profile = run.subject->session()->profile();
  run.profile_before.resize(profile.size(), 0);
  run.operation_samples.resize(profile.size());
  for (std::size_t i = 0; i < profile.size(); ++i) {
    run.operation_samples[i].push_back(static_cast<double>(profile[i] - run.profile_before[i]));
    run.profile_before[i] = profile[i];
  }
}

static Result<Run> open_run(const std::string& path, const BenchOptions& options) {
  Run run;
  auto subject = Subject::open(
      path, {.how = How::Engine, .threads = options.threads, .profile = options.profile});
  if (!subject) return subject.error();
  run.subject = std::move(*subject);
  run.load_ms = 1e3 * run.subject->open_seconds();
  auto inputs = make_inputs(run.subject->inputs(), options.seed, 0);
  if (!inputs) return inputs.error();
  run.inputs = std::move(*inputs);
  for (const auto& [name, value] : run.inputs)
    if (value.is_tensor() && value.tensor().rank() >= 2) {
      run.batch = value.tensor().dim(0);
      break;
    }
  const auto first = time_once(run);
  if (!first) return make_error("`{}`: {}", path, first.error().message);
  run.first_ms = run.load_ms + *first;
  return run;
}

// The engines take turns, so that what else the machine does hits them alike.
static Status time_runs(std::vector<Run>& runs, const BenchOptions& options) {
  for (int i = 0; i < options.warmup; ++i)
    for (Run& run : runs)
      if (const auto ms = time_once(run); !ms) return ms.error();
  for (Run& run : runs) {
    const auto profile = run.subject->session()->profile();
    run.profile_before.assign(profile.begin(), profile.end());
  }
  const bool lines = !options.json;
  if (lines) {
    ::fmt::print("{:>6}", "step");
    for (std::size_t i = 0; i < runs.size(); ++i)
      ::fmt::print("  {:>10}  {:>10}  {:>10}", "window ms", "p50 ms", "images/s");
    ::fmt::print("\n");
  }
  Progress progress("timing");
  for (int step = 1; step <= options.iterations; ++step) {
    for (Run& run : runs) {
      const auto ms = time_once(run);
      if (!ms) return ms.error();
      run.samples.push_back(*ms);
      note_operations(run);
    }
    if (step % options.report_every != 0 && step != options.iterations) continue;
    if (!lines) {
      progress.at(static_cast<std::size_t>(step), static_cast<std::size_t>(options.iterations));
      continue;
    }
    ::fmt::print("{:>6}", step);
    for (const Run& run : runs) {
      const int window = (step - 1) % options.report_every + 1;
      double mean = 0;
      for (auto sample = run.samples.end() - window; sample != run.samples.end(); ++sample)
        mean += *sample / window;
      ::fmt::print("  {:10.3f}  {:10.3f}  {:10.1f}", mean, statistics_of(run.samples).p50,
                   1e3 * static_cast<double>(run.batch) / mean);
    }
    ::fmt::print("\n");
    std::fflush(stdout);
  }
  return Done{};
}

// As many runs again, divided among callers that share the engine: each has a session of its own.
static Status time_callers(Run& run, const BenchOptions& options) {
  const Engine& engine = run.subject->session()->engine();
  const int threads = options.threads > 0 ? options.threads : usable_cores();
  const auto callers = static_cast<std::size_t>(options.callers);
  std::vector<Session> sessions;
  for (std::size_t i = 0; i < callers; ++i) {
    auto session = Session::create(engine, {.threads = threads});
    if (!session) return session.error();
    sessions.push_back(std::move(*session));
    // What the first run costs is told elsewhere.
    if (auto first = sessions.back().run(run.inputs); !first) return first.error();
  }
  std::atomic<int> left{options.iterations};
  std::vector<std::thread> all;
  const auto start = Clock::now();
  for (Session& session : sessions) {
    all.emplace_back([&] {
      while (left.fetch_sub(1) > 0)
        static_cast<void>(session.run(run.inputs));
    });
  }
  for (std::thread& each : all)
    each.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  run.images_per_second = static_cast<double>(options.iterations * run.batch) / seconds;
  return Done{};
}

// Time of the first over time of the second, with a 95 % interval. Neighbouring runs resemble one
// another, so blocks of runs are the unit: the logarithms of the ratios of their medians.
static std::optional<Ratio> ratio_of(const Run& a, const Run& b) {
  constexpr std::size_t blocks = 20;
  const std::size_t size = a.samples.size() / blocks;
  if (size == 0) return std::nullopt;
  std::vector<double> logs;
  for (std::size_t block = 0; block < blocks; ++block) {
    const auto median = [&](const Run& run) {
      const auto first = run.samples.begin() + static_cast<std::ptrdiff_t>(block * size);
      return statistics_of({first, first + static_cast<std::ptrdiff_t>(size)}).p50;
    };
    logs.push_back(std::log(median(a) / median(b)));
  }
  const Statistics of = statistics_of(logs);
  constexpr double student = 2.093;  // 97.5 % of t with 19 degrees of freedom
  const double half = student * of.stddev / std::sqrt(static_cast<double>(blocks));
  return Ratio{std::exp(of.mean), std::exp(of.mean - half), std::exp(of.mean + half)};
}

namespace {

struct OperationTime {
  Engine::Operation operation;
  double ms = 0, least = 0, gflops = 0;  // ms: the median
};

}  // namespace

static std::vector<OperationTime> profile_of(Run& run) {
  std::vector<OperationTime> out;
  const auto operations = run.subject->session()->engine().operations();
  for (std::size_t i = 0; i < run.operation_samples.size() && i < operations.size(); ++i) {
    const Statistics of = statistics_of(run.operation_samples[i]);
    OperationTime time{operations[i], of.p50 / 1e6, of.min / 1e6};
    time.gflops = time.ms > 0 ? time.operation.flops / time.ms / 1e6 : 0;
    out.push_back(std::move(time));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.ms > b.ms; });
  return out;
}

static double flops_of(const Run& run) {
  double sum = 0;
  for (const Engine::Operation& operation : run.subject->session()->engine().operations())
    sum += operation.flops;
  return sum;
}

static Json run_json(Run& run, const BenchOptions& options, double peak, const Memory& memory) {
  const Engine& engine = run.subject->session()->engine();
  const Statistics of = statistics_of(run.samples);
  const double gflop = flops_of(run) / 1e9, gflops = gflop / (of.p50 / 1e3);
  Json ops = Json::array();
  for (const OperationTime& time : profile_of(run))
    ops.push_back({{"op", time.operation.name},
                   {"kernel", time.operation.kernel},
                   {"ms", time.ms},
                   {"least_ms", time.least},
                   {"gflops", time.gflops},
                   {"bytes", nullptr}});
  return {{"engine", run.subject->path()},
          {"isa", name(engine.isa())},
          {"threads", options.threads > 0 ? options.threads : usable_cores()},
          {"batch", run.batch},
          {"warmup", options.warmup},
          {"iterations", options.iterations},
          {"load_ms", run.load_ms},
          {"first_inference_ms", run.first_ms},
          {"ms",
           {{"p50", of.p50},
            {"p90", of.p90},
            {"p99", of.p99},
            {"min", of.min},
            {"max", of.max},
            {"mean", of.mean},
            {"stddev", of.stddev}}},
          {"images_per_second", 1e3 * static_cast<double>(run.batch) / of.p50},
          {"callers", options.callers},
          {"callers_images_per_second", options.callers > 1 ? Json(run.images_per_second) : Json()},
          {"gflop", gflop},
          {"gflops", gflops},
          {"peak_share", peak > 0 ? gflops / peak : 0},
          {"samples_ms", run.samples},
          {"arena_bytes", engine.arena_bytes()},
          {"weight_bytes", engine.weight_bytes()},
          {"rss_anon_bytes", memory.anonymous},
          {"rss_file_bytes", memory.file},
          {"rss_peak_bytes", memory.peak},
          {"ops", ops}};
}

static void print_run(Run& run, const BenchOptions& options, double peak) {
  const Engine& engine = run.subject->session()->engine();
  const Statistics of = statistics_of(run.samples);
  const double gflop = flops_of(run) / 1e9;
  ::fmt::print("\n{} ({} kernels, {} threads, batch {})\n", run.subject->path(), name(engine.isa()),
               options.threads > 0 ? options.threads : usable_cores(), run.batch);
  ::fmt::print(
      "  ms         p50 {:.3f}  p90 {:.3f}  p99 {:.3f}  min {:.3f}  max {:.3f}  mean {:.3f}"
      "  stddev {:.3f}\n",
      of.p50, of.p90, of.p99, of.min, of.max, of.mean, of.stddev);
  ::fmt::print("  images/s   {:.1f}\n", 1e3 * static_cast<double>(run.batch) / of.p50);
  if (options.callers > 1)
    ::fmt::print("  {} callers  {:.1f} images/s together\n", options.callers,
                 run.images_per_second);
  ::fmt::print("  load       {:.2f} ms; first result after {:.2f} ms\n", run.load_ms, run.first_ms);
  ::fmt::print(
      "  work       {:.3f} GFLOP a run, {:.1f} GFLOP/s, {:.0f} % of this machine's {:.0f}\n", gflop,
      gflop / of.p50 * 1e3, peak > 0 ? 100 * gflop / of.p50 * 1e3 / peak : 0, peak);
  ::fmt::print("  memory     {:.2f} MB of weights, {:.2f} MB of arena\n",
               static_cast<double>(engine.weight_bytes()) / 1e6,
               static_cast<double>(engine.arena_bytes()) / 1e6);
  if (!options.profile) return;
  ::fmt::print("  {:>9}  {:>9}  {:>6}  {:>9}  {:>7}  operation\n", "p50 ms", "least", "share",
               "GFLOP/s", "of peak");
  const auto times = profile_of(run);
  double total = 0;
  for (const OperationTime& time : times)
    total += time.ms;
  for (const OperationTime& time : times)
    ::fmt::print("  {:9.4f}  {:9.4f}  {:5.1f} %  {:9.1f}  {:5.1f} %  {} `{}`\n", time.ms,
                 time.least, total > 0 ? 100 * time.ms / total : 0, time.gflops,
                 peak > 0 ? 100 * time.gflops / peak : 0, time.operation.kernel,
                 time.operation.name);
}

int bench(const BenchOptions& options) {
  const auto fail = [](const Error& error) {
    complain("{}", error.message);
    return input_fault;
  };
  std::vector<Run> runs;
  for (const std::string& path : options.files) {
    auto run = open_run(path, options);
    if (!run) return fail(run.error());
    runs.push_back(std::move(*run));
  }
  if (const Status status = time_runs(runs, options); !status) return fail(status.error());
  if (options.callers > 1) {
    for (Run& run : runs)
      if (const Status status = time_callers(run, options); !status) return fail(status.error());
  }
  const Memory memory = read_memory();
  const double peak = measure_peak(runs.front().subject->session()->engine().isa(),
                                   options.threads > 0 ? options.threads : usable_cores());
  const auto ratio = runs.size() == 2 ? ratio_of(runs[0], runs[1]) : std::nullopt;
  if (options.json) {
    Json out;
    if (runs.size() == 1) {
      out = run_json(runs[0], options, peak, memory);
    } else {
      out["engines"] = Json::array();
      for (Run& run : runs)
        out["engines"].push_back(run_json(run, options, peak, memory));
      out["comparison"] =
          ratio ? Json{{"ratio", ratio->ratio}, {"low", ratio->low}, {"high", ratio->high}}
                : Json();
    }
    ::fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
    return done;
  }
  for (Run& run : runs)
    print_run(run, options, peak);
  ::fmt::print("\nprocess memory: {:.1f} MB anonymous, {:.1f} MB of files, {:.1f} MB at its peak\n",
               static_cast<double>(memory.anonymous) / 1e6, static_cast<double>(memory.file) / 1e6,
               static_cast<double>(memory.peak) / 1e6);
  if (ratio) {
    const bool clear = ratio->low > 1 || ratio->high < 1;
    ::fmt::print("{} takes {:.3f} times as long as {} (95 % interval {:.3f} to {:.3f}{})\n",
                 runs[0].subject->path(), ratio->ratio, runs[1].subject->path(), ratio->low,
                 ratio->high, clear ? "" : ": no clear difference");
  }
  return done;
}

}  // namespace rulec::command
