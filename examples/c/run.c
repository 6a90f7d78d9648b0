/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an engine on zeros and prints what comes out: the C interface, whole.
 *
 *   rulec build net.onnx -o net.engine && ./run net.engine
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rulec.h>

static int failed(const char* what) {
  fprintf(stderr, "%s: %s\n", what, rulec_last_error());
  return 1;
}

/* Bits of an element; strings have none and are not drawn here. */
static size_t bits(int32_t dtype) {
  switch (dtype) {
    case RULEC_F64:
    case RULEC_I64:
    case RULEC_U64:
      return 64;
    case RULEC_F32:
    case RULEC_I32:
    case RULEC_U32:
      return 32;
    case RULEC_F16:
    case RULEC_BF16:
    case RULEC_I16:
    case RULEC_U16:
      return 16;
    case RULEC_I8:
    case RULEC_U8:
    case RULEC_BOOL:
      return 8;
    default:
      return 0;
  }
}

static int make_input(const rulec_engine* engine, size_t index, rulec_tensor* tensor) {
  rulec_port port;
  if (rulec_engine_input(engine, index, &port) != RULEC_OK) return failed("input");
  printf("input  %s : %s\n", port.name, port.type);
  if (port.has_default) return 0;
  if (port.rank < 0 || bits(port.dtype) == 0) {
    fprintf(stderr, "%s: this example makes up only numbers of known rank\n", port.name);
    return 1;
  }
  size_t count = 1;
  tensor->dtype = port.dtype;
  tensor->rank = port.rank;
  for (int i = 0; i < port.rank; ++i) {
    tensor->dims[i] = port.dims[i] < 0 ? 1 : port.dims[i]; /* unknown: any size will do */
    count *= (size_t)tensor->dims[i];
  }
  tensor->bytes = count * bits(port.dtype) / 8;
  tensor->data = calloc(1, tensor->bytes + 1);
  return tensor->data == NULL;
}

static void print_output(const rulec_port* port, const rulec_tensor* tensor) {
  printf("output %s : %s =", port->name, port->type);
  for (int i = 0; i < tensor->rank; ++i)
    printf(" %" PRId64, tensor->dims[i]);
  printf(" (%zu bytes)", tensor->bytes);
  if (tensor->dtype == RULEC_F32 && tensor->bytes >= sizeof(float)) {
    printf(", first %g", *(const float*)tensor->data);
  }
  printf("\n");
}

/* Sizes that the model does not tell are asked for with a run without buffers. */
static int run(rulec_engine* engine, rulec_tensor* in, size_t ins, rulec_tensor* out, size_t outs) {
  for (size_t i = 0; i < ins; ++i)
    if (make_input(engine, i, &in[i]) != 0) return 1;
  if (rulec_engine_run(engine, in, ins, out, outs) != RULEC_OK) return failed("run");
  for (size_t i = 0; i < outs; ++i) {
    out[i].data = malloc(out[i].bytes + 1);
    if (out[i].data == NULL) return 1;
  }
  if (rulec_engine_run(engine, in, ins, out, outs) != RULEC_OK) return failed("run");
  for (size_t i = 0; i < outs; ++i) {
    rulec_port port;
    if (rulec_engine_output(engine, i, &port) != RULEC_OK) return failed("output");
    print_output(&port, &out[i]);
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s ENGINE\n", argv[0]);
    return 2;
  }
  rulec_options options = {sizeof options, 2, 0};
  rulec_engine* engine = NULL;
  if (rulec_engine_load(argv[1], &options, &engine) != RULEC_OK) return failed("load");
  const size_t ins = rulec_engine_input_count(engine), outs = rulec_engine_output_count(engine);
  rulec_tensor* in = calloc(ins + 1, sizeof *in);
  rulec_tensor* out = calloc(outs + 1, sizeof *out);
  const int status = in == NULL || out == NULL || run(engine, in, ins, out, outs);
  for (size_t i = 0; in != NULL && i < ins; ++i)
    free(in[i].data);
  for (size_t i = 0; out != NULL && i < outs; ++i)
    free(out[i].data);
  free(in);
  free(out);
  rulec_engine_free(engine);
  return status;
}
