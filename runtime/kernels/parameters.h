// SPDX-License-Identifier: Apache-2.0
#pragma once

// Parameters of the fast kernels as they lie in an engine file. Sizes of tensors are not repeated
// here: kernels take them from their operands. Plain data, no padding bytes left to chance.

#include <cstdint>
#include <type_traits>

namespace rulec::kernels {

// y = f(x); alpha and beta as in ONNX (Clip: lower and upper bound).
enum class Activation : std::uint32_t {
  None,
  Relu,
  Clip,
  LeakyRelu,  // alpha
  Sigmoid,
  Silu,         // x sigmoid(x)
  HardSigmoid,  // max(0, min(1, alpha x + beta))
  HardSwish,    // x max(0, min(1, x/6 + 1/2))
  Tanh,
  Elu,    // alpha
  Gelu,   // with erf
  PRelu,  // the slope of each channel is an operand
  Softplus,
  Mish,
  GeluTanh,  // with tanh
  Swish,     // x sigmoid(alpha x)
};
inline constexpr std::uint32_t activation_count = 16;

enum class Residual : std::uint32_t { None, BeforeActivation, AfterActivation };

// What a kernel does to its result before it stores it.
struct Epilogue {
  Activation activation = Activation::None;
  Residual residual = Residual::None;  // the last operand, shaped as the output, is added
  float alpha = 0, beta = 0;
};

struct NoParameters {};

// Plain <-> Blocked, by the operands' layouts. `channels_last`: the plain side is [N,H,W,C].
struct ReorderParameters {
  std::uint32_t channels_last = 0;
  std::uint32_t reserved = 0;
};

// Operands: input, weights, bias [padded channels], then slopes (PRelu), then the residual.
// Conv: blocked to blocked, weights [oc/16][ic/16][kh][kw][16 ic][16 oc], channels padded by zeros.
// `scaled`: the input counts as multiplied by an operand [N,C,1,1], blocked, behind the bias.
// ConvStem: plain NCHW (or NHWC) to blocked, weights [oc/16][ic][kh][kw][16].
// ConvDepthwise: blocked to blocked, weights [c/16][kh][kw][16].
// ConvWinograd: as Conv, 3x3 with stride 1, weights transformed [oc/16][(m+2)^2][ic][16].
struct ConvParameters {
  std::uint32_t kernel_h = 1, kernel_w = 1;
  std::uint32_t stride_h = 1, stride_w = 1;
  std::uint32_t pad_top = 0, pad_left = 0;
  std::uint32_t dilation_h = 1, dilation_w = 1;
  std::uint32_t channels_last = 0;  // of a stem's input
  std::uint32_t winograd = 0;       // ConvWinograd: outputs along a tile, 2 or 4
  std::uint32_t scaled = 0;         // Conv: an operand behind the bias, see above
  std::uint32_t reserved = 0;
  Epilogue epilogue;
};

enum class PoolKind : std::uint32_t { Max, Average, AverageIncludingPad };

// Blocked to blocked. GlobalPool: to [N,C,1,1] blocked, window ignored.
struct PoolParameters {
  PoolKind kind = PoolKind::Max;
  std::uint32_t kernel_h = 1, kernel_w = 1;
  std::uint32_t stride_h = 1, stride_w = 1;
  std::uint32_t pad_top = 0, pad_left = 0;
  std::uint32_t pad_bottom = 0, pad_right = 0;
  std::uint32_t dilation_h = 1, dilation_w = 1;
  std::uint32_t reserved = 0;
};

// One step of an elementwise chain on a running value x (which starts as operand 0).
enum class ChainOp : std::uint16_t {
  // x = x op operand, or op immediate; Reversed: operand op x
  Add,
  Sub,
  Mul,
  Div,
  Min,
  Max,
  Pow,
  // x = f(x)
  Activate,  // `activation`, alpha, beta
  Neg,
  Abs,
  Exp,
  Log,
  Sqrt,
  Reciprocal,
  Erf,
  Floor,
  Ceil,
  Square,
  Round,
  Sin,
  Cos,
  Sign,
  Swap,  // exchanges x with the saved value
  Save,  // saved = x
  // x = x op saved
  AddSaved,
  SubSaved,
  MulSaved,
  DivSaved,
};
inline constexpr std::uint32_t chain_op_count = 28;

struct ChainStep {
  ChainOp op = ChainOp::Add;
  std::uint8_t reversed = 0;
  std::uint8_t has_operand = 0;  // else `alpha` is the immediate
  std::uint32_t operand = 0;     // input index
  Activation activation = Activation::None;
  float alpha = 0, beta = 0;
};

inline constexpr std::uint32_t max_chain_steps = 24;
inline constexpr std::uint32_t max_chain_operands = 12;

// Elementwise with broadcasting. All operands Plain, or the output and each operand Blocked or a
// plain per-channel vector [1,C,1,1]-like padded to 16, or a single element.
struct ChainParameters {
  std::uint32_t steps = 0;
  std::uint32_t reserved = 0;
  ChainStep step[max_chain_steps];
};

// y[M,N] = x[M,K] w + bias: w packed [N/16][K][16], bias padded to 16. Leading dims of x are rows.
// x is taken as [rows, K] of its elements, or as rows that begin `row` elements apart and may
// overlap.
struct GemmParameters {
  std::uint32_t rows = 0, depth = 0, columns = 0;
  std::uint32_t has_bias = 0;
  std::uint32_t row = 0;  // 0: depth
  std::uint32_t reserved = 0;
  Epilogue epilogue;
};

// y[b] = scale * x[b] w[b], both plain: batch strides in elements (0: broadcast). transposed:
// w is [N,K].
struct MatMulParameters {
  std::uint32_t rows = 0, depth = 0, columns = 0;
  std::uint32_t transposed = 0;
  std::uint32_t batches = 0;  // product of the batch dimensions
  std::uint32_t batch_rank = 0;
  float scale = 1;
  std::uint32_t reserved = 0;
  std::uint32_t batch_dim[6] = {};
  std::uint32_t batch_stride_x[6] = {}, batch_stride_w[6] = {};
};

enum class RowKind : std::uint32_t {
  Softmax,
  LogSoftmax,
  LayerNorm,
  Mean,
  Sum,
  Max,
  Min,
  SumSquare,
  L2,
  L1,
  Prod
};

// Over rows of the plain input: [outer][length][inner].
struct RowParameters {
  RowKind kind = RowKind::Softmax;
  std::uint32_t outer = 0, length = 0, inner = 1;
  float epsilon = 0;
  std::uint32_t reserved = 0;
};

inline constexpr std::uint32_t max_copy_rank = 8;

// One input's elements to their places: out[out_offset + i·out_stride] = in[in_offset +
// i·in_stride].
struct CopyPart {
  std::int64_t dims[max_copy_rank];
  std::int64_t in_stride[max_copy_rank], out_stride[max_copy_rank];
  std::int64_t in_offset, out_offset;
};

// Transpose, Slice, Concat, Split, Expand, Pad …: parts, one for each input, follow this struct.
struct CopyParameters {
  std::uint32_t element_bytes = 4;
  std::uint32_t parts = 0;
  std::uint32_t fill = 0;  // the output is filled with `fill_bits` first
  std::uint32_t rank = 0;  // of all parts
  std::uint64_t fill_bits = 0;
};

enum class ResizeKind : std::uint32_t { Nearest, Linear };

// Blocked to blocked over H and W. Operand 1 (i32 [oh + ow]): nearest source rows, columns; Linear:
// operand 2 (f32 [oh + ow]) is the weight of the next row or column.
struct ResizeParameters {
  ResizeKind kind = ResizeKind::Nearest;
  std::uint32_t reserved = 0;
};

// out[o, i, :] = in[o, index[i], :]; indices i32 or i64, negative ones count from the end.
struct GatherParameters {
  std::uint32_t outer = 0, axis = 0, inner_bytes = 0, count = 0;
};

// Elementwise with broadcasting on plain tensors of other types than f32.
enum class TypedOp : std::uint32_t {
  Cast,  // between Bool, U8, I8, I32, I64, F32, F64
  // to Bool, of two operands of one of these types
  Equal,
  Less,
  LessOrEqual,
  Greater,
  GreaterOrEqual,
  // of Bool
  And,
  Or,
  Xor,
  Not,
  Where,  // Bool, then two operands of any type of 1, 2, 4 or 8 bytes
  // of I32 or I64
  Add,
  Sub,
  Mul,
  Min,
  Max,
};
inline constexpr std::uint32_t typed_op_count = 16;

struct TypedParameters {
  TypedOp op = TypedOp::Cast;
  std::uint32_t reserved = 0;
};

enum class CellKind : std::uint32_t { Lstm, Gru };

// Operands: x [T,B,I], packed input weights [D][G H/16][I][16], packed recurrent weights, bias
// [D][2][G H], h0, c0 (may be absent); outputs Y, Y_h, Y_c (each may be absent).
struct RecurrentParameters {
  CellKind kind = CellKind::Lstm;
  std::uint32_t hidden = 0, directions = 1, reversed = 0;
  std::uint32_t linear_before_reset = 0;
  std::uint32_t has_h0 = 0, has_c0 = 0;
  std::uint32_t reserved = 0;
};

// Of numbers of 8 bits, signed or not as their tensor is: real = (stored - zero) scale.
struct Quantization {
  float scale = 1;
  std::int32_t zero = 0;
};

// Operands: x [N,H,W,C], weights, i32 biases [padded channels], f64 coefficients [5][padded
// channels] (see QuantizedCoefficient); y is [N,H,W,C].
// QuantizedDepthwise: weights are i16, less their zero points, neighbours in pairs, filled up with
// zeros: [c/16][kh][kw/2][16][2].
// QuantizedConv: operand 4 is i32 [oc/16][2], the ends of each panel's plain steps and of all its
// steps, then a number for each step: that of a run of neighbouring inputs of a window, times 2^20,
// plus that of four of its inputs. A run is [kw][ic] of one row of the window, or where taps are
// dilated, [ic]. Weights are i8, [16 oc][4] of each step, behind those of a masked step its masks:
// where a mask is not 0, it takes 255 less the input. No pair of a step's weights times two numbers
// up to 255 leaves 16 bits. Inputs are unsigned bytes (i8 plus 128) not less their zero point; what
// that and masks take is in the bias. Several steps may take the same inputs.
// QuantizedWinograd: 3x3 with stride 1, ic a multiple of 16; weights are i16, less their zero
// points, transformed by F(4,3) and multiplied so that they are whole numbers:
// [oc/16][36][ic/2][16 oc][2].
struct QuantizedConvParameters {
  std::uint32_t kernel_h = 1, kernel_w = 1;
  std::uint32_t stride_h = 1, stride_w = 1;
  std::uint32_t pad_top = 0, pad_left = 0;
  std::uint32_t dilation_h = 1, dilation_w = 1;
  Quantization x, y;
  std::int32_t low = 0, high = 255;  // of the result
};

// The stored result is round((sum + bias) * Multiplier + Offset) + zero. Where its fraction is
// further from an integer than Limit, DequantizeLinear, Conv and QuantizeLinear, which round at
// each step, may give the neighbour: there they are followed step by step.
enum class QuantizedCoefficient : std::uint32_t { Multiplier, Offset, Limit, WeightScale, Bias };
inline constexpr std::uint32_t quantized_coefficients = 5;

enum class QuantizedKind : std::uint32_t {
  Quantize,       // f32 to 8 bits
  Dequantize,     // 8 bits to f32
  Add,            // of two of one shape
  Mul,            // of two of one shape
  Lookup,         // operand 1: 256 results, by the stored number (plus 128 where it is signed)
  GlobalAverage,  // [N,H,W,C] to [N,1,1,C]
};
inline constexpr std::uint32_t quantized_kind_count = 6;

struct QuantizedParameters {
  QuantizedKind kind = QuantizedKind::Quantize;
  Quantization a, b, y;
  std::int32_t low = 0, high = 255;  // of the result
};

}  // namespace rulec::kernels
