/* The order of what ONNX Runtime and custom operators pass to each other, for where its own header is not installed.
 *
 * Only names in their order, so that the places counted in doors/onnxruntime/abi.h can be checked against something
 * that was not counted. Source: include/onnxruntime/core/session/onnxruntime_c_api.h of github.com/microsoft/onnxruntime (MIT),
 * releases 1.21.0 and 1.23.2, which agree; versions only append. All members are pointers; none is ever called. */
#ifndef BNNPAN_TESTS_ONNXRUNTIME_C_API_H
#define BNNPAN_TESTS_ONNXRUNTIME_C_API_H

#include <stdint.h>

#define ORT_API_VERSION 16

enum { ORT_OK, ORT_FAIL, ORT_INVALID_ARGUMENT };
enum {
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8
};
enum { INPUT_OUTPUT_REQUIRED };
enum { OrtMemTypeDefault = 0 };

typedef struct OrtApiBase {
    void *GetApi, *GetVersionString;
} OrtApiBase;

/* Up to the last function that the door uses. */
typedef struct OrtApi {
    void *CreateStatus, *GetErrorCode, *GetErrorMessage, *CreateEnv, *CreateEnvWithCustomLogger,
        *EnableTelemetryEvents, *DisableTelemetryEvents, *CreateSession, *CreateSessionFromArray, *Run,
        *CreateSessionOptions, *SetOptimizedModelFilePath, *CloneSessionOptions, *SetSessionExecutionMode,
        *EnableProfiling, *DisableProfiling, *EnableMemPattern, *DisableMemPattern, *EnableCpuMemArena,
        *DisableCpuMemArena, *SetSessionLogId, *SetSessionLogVerbosityLevel, *SetSessionLogSeverityLevel,
        *SetSessionGraphOptimizationLevel, *SetIntraOpNumThreads, *SetInterOpNumThreads, *CreateCustomOpDomain,
        *CustomOpDomain_Add, *AddCustomOpDomain, *RegisterCustomOpsLibrary, *SessionGetInputCount,
        *SessionGetOutputCount, *SessionGetOverridableInitializerCount, *SessionGetInputTypeInfo,
        *SessionGetOutputTypeInfo, *SessionGetOverridableInitializerTypeInfo, *SessionGetInputName,
        *SessionGetOutputName, *SessionGetOverridableInitializerName, *CreateRunOptions,
        *RunOptionsSetRunLogVerbosityLevel, *RunOptionsSetRunLogSeverityLevel, *RunOptionsSetRunTag,
        *RunOptionsGetRunLogVerbosityLevel, *RunOptionsGetRunLogSeverityLevel, *RunOptionsGetRunTag,
        *RunOptionsSetTerminate, *RunOptionsUnsetTerminate, *CreateTensorAsOrtValue,
        *CreateTensorWithDataAsOrtValue, *IsTensor, *GetTensorMutableData, *FillStringTensor,
        *GetStringTensorDataLength, *GetStringTensorContent, *CastTypeInfoToTensorInfo,
        *GetOnnxTypeFromTypeInfo, *CreateTensorTypeAndShapeInfo, *SetTensorElementType, *SetDimensions,
        *GetTensorElementType, *GetDimensionsCount, *GetDimensions, *GetSymbolicDimensions,
        *GetTensorShapeElementCount, *GetTensorTypeAndShape, *GetTypeInfo, *GetValueType, *CreateMemoryInfo,
        *CreateCpuMemoryInfo, *CompareMemoryInfo, *MemoryInfoGetName, *MemoryInfoGetId, *MemoryInfoGetMemType,
        *MemoryInfoGetType, *AllocatorAlloc, *AllocatorFree, *AllocatorGetInfo, *GetAllocatorWithDefaultOptions,
        *AddFreeDimensionOverride, *GetValue, *GetValueCount, *CreateValue, *CreateOpaqueValue, *GetOpaqueValue,
        *KernelInfoGetAttribute_float, *KernelInfoGetAttribute_int64, *KernelInfoGetAttribute_string,
        *KernelContext_GetInputCount, *KernelContext_GetOutputCount, *KernelContext_GetInput,
        *KernelContext_GetOutput, *ReleaseEnv, *ReleaseStatus, *ReleaseMemoryInfo, *ReleaseSession,
        *ReleaseValue, *ReleaseRunOptions, *ReleaseTypeInfo, *ReleaseTensorTypeAndShapeInfo,
        *ReleaseSessionOptions, *ReleaseCustomOpDomain, *GetDenotationFromTypeInfo, *CastTypeInfoToMapTypeInfo,
        *CastTypeInfoToSequenceTypeInfo, *GetMapKeyType, *GetMapValueType, *GetSequenceElementType,
        *ReleaseMapTypeInfo, *ReleaseSequenceTypeInfo, *SessionEndProfiling, *SessionGetModelMetadata,
        *ModelMetadataGetProducerName, *ModelMetadataGetGraphName, *ModelMetadataGetDomain,
        *ModelMetadataGetDescription, *ModelMetadataLookupCustomMetadataMap, *ModelMetadataGetVersion,
        *ReleaseModelMetadata, *CreateEnvWithGlobalThreadPools, *DisablePerSessionThreads,
        *CreateThreadingOptions, *ReleaseThreadingOptions, *ModelMetadataGetCustomMetadataMapKeys,
        *AddFreeDimensionOverrideByName, *GetAvailableProviders, *ReleaseAvailableProviders,
        *GetStringTensorElementLength, *GetStringTensorElement, *FillStringTensorElement,
        *AddSessionConfigEntry, *CreateAllocator, *ReleaseAllocator, *RunWithBinding, *CreateIoBinding,
        *ReleaseIoBinding, *BindInput, *BindOutput, *BindOutputToDevice, *GetBoundOutputNames,
        *GetBoundOutputValues, *ClearBoundInputs, *ClearBoundOutputs, *TensorAt, *CreateAndRegisterAllocator,
        *SetLanguageProjection, *SessionGetProfilingStartTimeNs, *SetGlobalIntraOpNumThreads,
        *SetGlobalInterOpNumThreads, *SetGlobalSpinControl, *AddInitializer,
        *CreateEnvWithCustomLoggerAndGlobalThreadPools, *SessionOptionsAppendExecutionProvider_CUDA,
        *SessionOptionsAppendExecutionProvider_ROCM, *SessionOptionsAppendExecutionProvider_OpenVINO,
        *SetGlobalDenormalAsZero, *CreateArenaCfg, *ReleaseArenaCfg, *ModelMetadataGetGraphDescription,
        *SessionOptionsAppendExecutionProvider_TensorRT, *SetCurrentGpuDeviceId, *GetCurrentGpuDeviceId,
        *KernelInfoGetAttributeArray_float, *KernelInfoGetAttributeArray_int64, *CreateArenaCfgV2,
        *AddRunConfigEntry, *CreatePrepackedWeightsContainer, *ReleasePrepackedWeightsContainer,
        *CreateSessionWithPrepackedWeightsContainer, *CreateSessionFromArrayWithPrepackedWeightsContainer,
        *SessionOptionsAppendExecutionProvider_TensorRT_V2, *CreateTensorRTProviderOptions,
        *UpdateTensorRTProviderOptions, *GetTensorRTProviderOptionsAsString, *ReleaseTensorRTProviderOptions,
        *EnableOrtCustomOps, *RegisterAllocator, *UnregisterAllocator, *IsSparseTensor,
        *CreateSparseTensorAsOrtValue, *FillSparseTensorCoo, *FillSparseTensorCsr, *FillSparseTensorBlockSparse,
        *CreateSparseTensorWithValuesAsOrtValue, *UseCooIndices, *UseCsrIndices, *UseBlockSparseIndices,
        *GetSparseTensorFormat, *GetSparseTensorValuesTypeAndShape, *GetSparseTensorValues,
        *GetSparseTensorIndicesTypeShape, *GetSparseTensorIndices, *HasValue,
        *KernelContext_GetGPUComputeStream, *GetTensorMemoryInfo, *GetExecutionProviderApi,
        *SessionOptionsSetCustomCreateThreadFn, *SessionOptionsSetCustomThreadCreationOptions,
        *SessionOptionsSetCustomJoinThreadFn, *SetGlobalCustomCreateThreadFn,
        *SetGlobalCustomThreadCreationOptions, *SetGlobalCustomJoinThreadFn, *SynchronizeBoundInputs,
        *SynchronizeBoundOutputs, *SessionOptionsAppendExecutionProvider_CUDA_V2, *CreateCUDAProviderOptions,
        *UpdateCUDAProviderOptions, *GetCUDAProviderOptionsAsString, *ReleaseCUDAProviderOptions,
        *SessionOptionsAppendExecutionProvider_MIGraphX, *AddExternalInitializers, *CreateOpAttr,
        *ReleaseOpAttr, *CreateOp, *InvokeOp, *ReleaseOp, *SessionOptionsAppendExecutionProvider,
        *CopyKernelInfo, *ReleaseKernelInfo, *GetTrainingApi, *SessionOptionsAppendExecutionProvider_CANN,
        *CreateCANNProviderOptions, *UpdateCANNProviderOptions, *GetCANNProviderOptionsAsString,
        *ReleaseCANNProviderOptions, *MemoryInfoGetDeviceType, *UpdateEnvWithCustomLogLevel,
        *SetGlobalIntraOpThreadAffinity, *RegisterCustomOpsLibrary_V2, *RegisterCustomOpsUsingFunction,
        *KernelInfo_GetInputCount, *KernelInfo_GetOutputCount, *KernelInfo_GetInputName,
        *KernelInfo_GetOutputName, *KernelInfo_GetInputTypeInfo, *KernelInfo_GetOutputTypeInfo,
        *KernelInfoGetAttribute_tensor, *HasSessionConfigEntry, *GetSessionConfigEntry,
        *SessionOptionsAppendExecutionProvider_Dnnl, *CreateDnnlProviderOptions, *UpdateDnnlProviderOptions,
        *GetDnnlProviderOptionsAsString, *ReleaseDnnlProviderOptions, *KernelInfo_GetNodeName,
        *KernelInfo_GetLogger, *KernelContext_GetLogger, *Logger_LogMessage, *Logger_GetLoggingSeverityLevel,
        *KernelInfoGetConstantInput_tensor;
} OrtApi;

/* Up to the first member that version 16 does not have. */
typedef struct OrtCustomOp {
    uint32_t version;
    void *CreateKernel, *GetName, *GetExecutionProviderType, *GetInputType, *GetInputTypeCount, *GetOutputType,
        *GetOutputTypeCount, *KernelCompute, *KernelDestroy, *GetInputCharacteristic, *GetOutputCharacteristic,
        *GetInputMemoryType, *GetVariadicInputMinArity, *GetVariadicInputHomogeneity,
        *GetVariadicOutputMinArity, *GetVariadicOutputHomogeneity, *CreateKernelV2, *KernelComputeV2,
        *InferOutputShapeFn;
} OrtCustomOp;

#endif
