//go:build cuda && linux

FUNCTION(cublasCreate_v2, fails)
FUNCTION(cublasDestroy_v2, fails)
FUNCTION(cublasGemmStridedBatchedEx, fails)
FUNCTION(cublasGetProperty, fails)
FUNCTION(cublasGetStatusString, nothing)
FUNCTION(cublasGetVersion_v2, fails)
FUNCTION(cublasSetMathMode, fails)
FUNCTION(cublasSetStream_v2, fails)
FUNCTION(cublasSetWorkspace_v2, fails)
