/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RULEC_H
#define RULEC_H

/* The runtime for C, and for whatever calls C: load an engine, ask what it takes and gives, run it
 * on buffers of the caller's. Not for making engines: that is the command `rulec build` or C++.
 *
 *   rulec_engine* engine;
 *   if (rulec_engine_load("net.engine", NULL, &engine) != RULEC_OK) fail(rulec_last_error());
 *   rulec_tensor in = {RULEC_F32, 4, {1, 3, 224, 224}, pixels, sizeof pixels};
 *   rulec_tensor out = {.data = scores, .bytes = sizeof scores};
 *   if (rulec_engine_run(engine, &in, 1, &out, 1) != RULEC_OK) fail(rulec_last_error());
 *   rulec_engine_free(engine);
 *
 * Every function may be called from any thread, on one engine by several at the same time: each run
 * takes its memory from a pool that the engine keeps. No exception leaves a function. The structs
 * and numbers below stay as they are within a major version; options grow at their end. */

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define RULEC_API __attribute__((visibility("default")))
#else
#define RULEC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define RULEC_API_VERSION 1

typedef struct rulec_engine rulec_engine;

typedef enum rulec_status {
  RULEC_OK = 0,
  RULEC_BAD_ARGUMENT = 1,     /* a null pointer, a wrong count, a shape that does not fit */
  RULEC_BAD_ENGINE = 2,       /* unreadable, truncated, damaged, or of another version or CPU */
  RULEC_BUFFER_TOO_SMALL = 3, /* `bytes` of the outputs now say what is needed */
  RULEC_RUN_FAILED = 4,       /* an operation refused its operands */
  RULEC_OUT_OF_MEMORY = 5
} rulec_status;

/* Element types; the numbers are ONNX's. Types of less than a byte are packed, low bits first. */
typedef enum rulec_dtype {
  RULEC_UNKNOWN = 0,
  RULEC_F32 = 1,
  RULEC_U8 = 2,
  RULEC_I8 = 3,
  RULEC_U16 = 4,
  RULEC_I16 = 5,
  RULEC_I32 = 6,
  RULEC_I64 = 7,
  RULEC_STRING = 8, /* an input's data is an array of `const char*`; outputs: see rulec_tensor */
  RULEC_BOOL = 9,
  RULEC_F16 = 10,
  RULEC_F64 = 11,
  RULEC_U32 = 12,
  RULEC_U64 = 13,
  RULEC_C64 = 14,
  RULEC_C128 = 15,
  RULEC_BF16 = 16,
  RULEC_F8E4M3FN = 17,
  RULEC_F8E4M3FNUZ = 18,
  RULEC_F8E5M2 = 19,
  RULEC_F8E5M2FNUZ = 20,
  RULEC_U4 = 21,
  RULEC_I4 = 22,
  RULEC_F4E2M1 = 23,
  RULEC_F8E8M0 = 24,
  RULEC_U2 = 25,
  RULEC_I2 = 26
} rulec_dtype;

#define RULEC_MAX_RANK 16

/* What an engine takes or gives. The texts live as long as the engine. */
typedef struct rulec_port {
  const char* name;
  const char* type; /* for people: "f32[1,3,N,N]", "seq(i64)" */
  int is_tensor;    /* sequences, optionals and maps cannot be passed through this interface */
  int has_default;  /* an input that may be left out: data NULL */
  int32_t dtype;    /* a rulec_dtype */
  int rank;         /* -1: not known before a run */
  int64_t dims[RULEC_MAX_RANK]; /* -1: not known before a run */
} rulec_port;

/* A dense row-major array in the caller's memory.
 * As an input: all fields are read; `bytes` must be what dtype and dims need.
 * As an output: `data` and `bytes` say where and how much room; the run writes dtype, rank, dims
 * and the bytes it wrote, or needs. With data NULL these are told and nothing is written. Strings
 * are written one after the other, each with its closing zero. */
typedef struct rulec_tensor {
  int32_t dtype; /* a rulec_dtype */
  int rank;
  int64_t dims[RULEC_MAX_RANK];
  void* data;
  size_t bytes;
} rulec_tensor;

typedef struct rulec_options {
  size_t size;        /* sizeof(rulec_options) of the caller */
  int threads;        /* of each run, 1 unless said; results do not depend on it */
  int verify_weights; /* check their checksum too: takes time in the file's size */
} rulec_options;

/* "0.1.0" */
RULEC_API const char* rulec_version(void);

/* Why the last call of this thread that did not return RULEC_OK failed: what, where, what to do.
 * Valid until this thread's next failing call. */
RULEC_API const char* rulec_last_error(void);

/* A file is mapped; memory is copied. `options` may be NULL. */
RULEC_API rulec_status rulec_engine_load(const char* path, const rulec_options* options,
                                         rulec_engine** out);
RULEC_API rulec_status rulec_engine_load_memory(const void* bytes, size_t size,
                                                const rulec_options* options, rulec_engine** out);
/* No run may be under way. NULL is fine. */
RULEC_API void rulec_engine_free(rulec_engine* engine);

RULEC_API size_t rulec_engine_input_count(const rulec_engine* engine);
RULEC_API size_t rulec_engine_output_count(const rulec_engine* engine);
RULEC_API rulec_status rulec_engine_input(const rulec_engine* engine, size_t index,
                                          rulec_port* out);
RULEC_API rulec_status rulec_engine_output(const rulec_engine* engine, size_t index,
                                           rulec_port* out);

/* Inputs and outputs in the engine's order, as many as it has. */
RULEC_API rulec_status rulec_engine_run(rulec_engine* engine, const rulec_tensor* inputs,
                                        size_t input_count, rulec_tensor* outputs,
                                        size_t output_count);

#ifdef __cplusplus
}
#endif

#endif
