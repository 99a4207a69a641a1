/* Compiles only where doors/onnxruntime/abi.h says the same as ONNX Runtime's own header. */
#include <onnxruntime_c_api.h>

#include "abi.h"

#define SAME(ours, theirs) _Static_assert((ours) == (theirs), #ours " is not " #theirs)
#define SAME_FUNCTION(ours, theirs) SAME(offsetof(onnx_api, ours), offsetof(OrtApi, theirs))
#define SAME_MEMBER(ours, theirs) SAME(offsetof(onnx_op, ours), offsetof(OrtCustomOp, theirs))

_Static_assert(ONNX_API_VERSION <= ORT_API_VERSION, "the header is older than the table asked for");
SAME((int)ONNX_FAIL, (int)ORT_FAIL);
SAME((int)ONNX_INVALID_ARGUMENT, (int)ORT_INVALID_ARGUMENT);
SAME((int)ONNX_FLOAT, (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
SAME((int)ONNX_UINT8, (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8);
SAME((int)ONNX_REQUIRED, (int)INPUT_OUTPUT_REQUIRED);
SAME((int)ONNX_DEFAULT_MEMORY, (int)OrtMemTypeDefault);

SAME_FUNCTION(create_status, CreateStatus);
SAME_FUNCTION(create_domain, CreateCustomOpDomain);
SAME_FUNCTION(add_op, CustomOpDomain_Add);
SAME_FUNCTION(add_domain, AddCustomOpDomain);
SAME_FUNCTION(tensor_data, GetTensorMutableData);
SAME_FUNCTION(rank, GetDimensionsCount);
SAME_FUNCTION(dims, GetDimensions);
SAME_FUNCTION(tensor_info, GetTensorTypeAndShape);
SAME_FUNCTION(float_attribute, KernelInfoGetAttribute_float);
SAME_FUNCTION(integer_attribute, KernelInfoGetAttribute_int64);
SAME_FUNCTION(input, KernelContext_GetInput);
SAME_FUNCTION(output, KernelContext_GetOutput);
SAME_FUNCTION(release_tensor_info, ReleaseTensorTypeAndShapeInfo);
SAME_FUNCTION(constant_input, KernelInfoGetConstantInput_tensor);

SAME(offsetof(onnx_api_base, api), offsetof(OrtApiBase, GetApi));
SAME(offsetof(onnx_api_base, version), offsetof(OrtApiBase, GetVersionString));

SAME_MEMBER(version, version);
SAME_MEMBER(create_without_status, CreateKernel);
SAME_MEMBER(name, GetName);
SAME_MEMBER(provider, GetExecutionProviderType);
SAME_MEMBER(input_type, GetInputType);
SAME_MEMBER(inputs, GetInputTypeCount);
SAME_MEMBER(output_type, GetOutputType);
SAME_MEMBER(outputs, GetOutputTypeCount);
SAME_MEMBER(compute_without_status, KernelCompute);
SAME_MEMBER(destroy, KernelDestroy);
SAME_MEMBER(input_characteristic, GetInputCharacteristic);
SAME_MEMBER(output_characteristic, GetOutputCharacteristic);
SAME_MEMBER(input_memory, GetInputMemoryType);
SAME_MEMBER(variadic_inputs_at_least, GetVariadicInputMinArity);
SAME_MEMBER(variadic_inputs_alike, GetVariadicInputHomogeneity);
SAME_MEMBER(variadic_outputs_at_least, GetVariadicOutputMinArity);
SAME_MEMBER(variadic_outputs_alike, GetVariadicOutputHomogeneity);
SAME_MEMBER(create, CreateKernelV2);
SAME_MEMBER(compute, KernelComputeV2);
/* Where what version 16 does not have begins. */
_Static_assert(sizeof(onnx_op) == offsetof(OrtCustomOp, InferOutputShapeFn), "operators end elsewhere");
