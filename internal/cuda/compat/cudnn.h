/* This header is found before cuDNN's own. It includes that one and declares what
 * cuDNN 9 took away and gorgonia.org/cu/dnn v0.9.6 still refers to, as functions that
 * report that they are not supported. Nothing of that serves convolutional networks. */
#ifndef WICK_COMPAT_CUDNN_H
#define WICK_COMPAT_CUDNN_H
#include_next <cudnn.h>

#if CUDNN_MAJOR >= 9
typedef struct cudnnAlgorithmStruct *cudnnAlgorithmDescriptor_t;
typedef struct cudnnAlgorithmPerformanceStruct *cudnnAlgorithmPerformance_t;
typedef struct cudnnPersistentRNNPlan *cudnnPersistentRNNPlan_t;
typedef struct cudnnAlgorithmUnionStruct {
	union Algorithm {
		cudnnConvolutionFwdAlgo_t convFwdAlgo;
		cudnnConvolutionBwdFilterAlgo_t convBwdFilterAlgo;
		cudnnConvolutionBwdDataAlgo_t convBwdDataAlgo;
		cudnnRNNAlgo_t RNNAlgo;
		cudnnCTCLossAlgo_t CTCLossAlgo;
	} algo;
} cudnnAlgorithm_t;

#define WICK_GONE(name, ...) \
	static inline cudnnStatus_t name(__VA_ARGS__) { return CUDNN_STATUS_NOT_SUPPORTED; }
WICK_GONE(cudnnCreateAlgorithmDescriptor, cudnnAlgorithmDescriptor_t *d)
WICK_GONE(cudnnSetAlgorithmDescriptor, cudnnAlgorithmDescriptor_t d, cudnnAlgorithm_t a)
WICK_GONE(cudnnDestroyAlgorithmDescriptor, cudnnAlgorithmDescriptor_t d)
WICK_GONE(cudnnCreateAlgorithmPerformance, cudnnAlgorithmPerformance_t *p, int n)
WICK_GONE(cudnnSetAlgorithmPerformance, cudnnAlgorithmPerformance_t p, cudnnAlgorithmDescriptor_t d, cudnnStatus_t s, float t, size_t m)
WICK_GONE(cudnnDestroyAlgorithmPerformance, cudnnAlgorithmPerformance_t *p, int n)
WICK_GONE(cudnnCreatePersistentRNNPlan, cudnnRNNDescriptor_t r, const int b, const cudnnDataType_t t, cudnnPersistentRNNPlan_t *p)
WICK_GONE(cudnnSetPersistentRNNPlan, cudnnRNNDescriptor_t r, cudnnPersistentRNNPlan_t p)
WICK_GONE(cudnnDestroyPersistentRNNPlan, cudnnPersistentRNNPlan_t p)
WICK_GONE(cudnnSetRNNMatrixMathType, cudnnRNNDescriptor_t r, cudnnMathType_t m)
#undef WICK_GONE

/* dnn/status.go:19 makes NotSupported of every status above this one, the last of
 * cuDNN 8. In cuDNN 9 it is 1007, below BAD_PARAM (2000), INTERNAL_ERROR (4000) and
 * EXECUTION_FAILED (5000). */
#define CUDNN_STATUS_RUNTIME_FP_OVERFLOW 99999
#endif
#endif
