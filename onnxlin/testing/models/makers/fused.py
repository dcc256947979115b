"""Operators that runtimes have forms of for integers, and fuse with the pairs around them."""

FUSED = (
    *("Conv", "Gemm", "MatMul", "Add", "Mul", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Softmax"),
    *("AveragePool", "GlobalAveragePool", "MaxPool", "Concat", "Reshape", "Transpose", "Slice"),
    *("Split", "Squeeze", "Unsqueeze", "Flatten", "Pad", "ArgMax", "ReduceMean", "ConvTranspose"),
    *("BatchNormalization", "QuantizeLinear", "DynamicQuantizeLinear", "Gather", "Expand", "Tile"),
    "Where",
)
