// A program that does one thing, named by its argument, with a driver: what is wrong
// must end it, what is right must not. sim_test.go says which is which.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#define WICK_REAL_CUINIT
#include <cuda.h>
#include <map>
#include <string>
#include <vector>

#define OK(call) \
	if (CUresult r = (call)) { \
		fprintf(stderr, "line %d: %s returned %d\n", __LINE__, #call, (int)r); \
		exit(3); \
	}
const size_t n = 4096;
static CUstream work, copies;
static CUevent e, f;
static CUdeviceptr block, other;
static char *pinned;
static CUmodule module;

// fill launches a kernel that writes the block.
static void fill(CUdeviceptr to, CUstream s) {
	CUfunction k;
	OK(cuModuleGetFunction(&k, module, "fill_u8"));
	double v = 1;
	long long count = (long long)n;
	void *p[] = {&to, &v, &count};
	OK(cuLaunchKernel(k, 4, 1, 1, 256, 1, 1, 0, s, p, nullptr));
}
static void order(CUstream first, CUevent e, CUstream then) {
	OK(cuEventRecord(e, first));
	OK(cuStreamWaitEvent(then, e, 0));
}
static void upload(CUdeviceptr to) { OK(cuMemcpyHtoDAsync(to, pinned, n, copies)); }
static void expect(bool ok, const char *what) {
	if (ok) return;
	fprintf(stderr, "%s\n", what);
	exit(4);
}

static std::map<std::string, void (*)()> cases = {
	{"copy and kernel", [] {
		upload(block);
		fill(block, work);
	}},
	{"kernel and copy", [] {
		fill(block, work);
		upload(block);
	}},
	{"memset and copy", [] {
		OK(cuMemsetD8Async(block, 1, n, work));
		upload(block);
	}},
	{"event recorded too early", [] {
		order(copies, e, work);
		upload(block);
		fill(block, work);
	}},
	{"event waited for elsewhere", [] {
		CUstream third;
		OK(cuStreamCreate(&third, CU_STREAM_NON_BLOCKING));
		upload(block);
		order(copies, e, third);
		fill(block, work);
	}},
	{"wait for the other stream", [] {
		upload(block);
		OK(cuStreamSynchronize(work));
		fill(block, work);
	}},
	{"graph and copy", [] {
		CUgraph g;
		CUgraphExec x;
		OK(cuStreamBeginCapture(work, CU_STREAM_CAPTURE_MODE_RELAXED));
		fill(block, work);
		OK(cuStreamEndCapture(work, &g));
		OK(cuGraphInstantiateWithFlags(&x, g, 0));
		OK(cuGraphLaunch(x, work));
		upload(block);
	}},
	{"ordered", [] {
		// An event may be recorded again at once, one stream may hear of another by way of a third, and what the host waited for is done.
		CUstream third;
		OK(cuStreamCreate(&third, CU_STREAM_NON_BLOCKING));
		for (int i = 0; i < 10; i++) {
			memset(pinned, i, n);
			upload(block);
			order(copies, e, work);
			fill(other, work);
			OK(cuMemcpyDtoDAsync(other, block, n, work));
			order(work, f, third);
			order(third, e, copies);
			upload(other);
			OK(cuStreamSynchronize(copies));
			fill(block, work);
			fill(other, work);
			order(work, e, copies);
		}
		std::vector<char> got(n);
		memset(pinned, 9, n);
		upload(block);
		order(copies, e, work);
		fill(other, work);
		order(work, f, copies);
		OK(cuMemcpyDtoHAsync(got.data(), block, n, work));
		expect(got[0] == 9 && got[n - 1] == 9, "the copy did not arrive");
		// Reading on both sides needs no order.
		OK(cuMemcpyDtoHAsync(got.data(), block, n, copies));
	}},
	{"waits come in order", [] {
		// The copy that waits for an event's first record comes before what its second record waits for.
		memset(pinned, 1, n);
		OK(cuMemsetD8Async(block, 0, n, work));
		order(work, e, copies);
		upload(block);
		OK(cuEventRecord(f, copies));
		OK(cuStreamWaitEvent(work, f, 0));
		OK(cuMemcpyDtoDAsync(other, block, n, work));
		OK(cuEventRecord(e, work)); // the second
		std::vector<char> got(n);
		OK(cuMemcpyDtoHAsync(got.data(), other, n, work));
		expect(got[0] == 1, "the copy came after its use");
	}},
	{"pinned written early", [] {
		upload(block);
		pinned[5] = 1;
	}},
	{"pinned written after another event", [] {
		OK(cuEventRecord(e, copies));
		upload(block);
		OK(cuEventSynchronize(e));
		pinned[5] = 1;
	}},
	{"pinned read early", [] {
		OK(cuMemcpyDtoHAsync(pinned, block, n, work));
		expect(pinned[5] == 1, "the copy did not arrive");
	}},
	{"pinned in time", [] {
		OK(cuMemsetD8Async(block, 7, n, copies));
		OK(cuMemcpyDtoHAsync(pinned, block, n, copies));
		OK(cuEventRecord(e, copies));
		OK(cuEventSynchronize(e));
		expect(pinned[n - 1] == 7, "the copy did not arrive");
		upload(block);
		expect(pinned[n - 1] == 7, "reading what is copied from is right");
		OK(cuEventRecord(e, copies));
		expect(cuEventQuery(e) == CUDA_ERROR_NOT_READY, "the event has passed before anybody waited");
		OK(cuStreamSynchronize(copies));
		OK(cuEventQuery(e));
		memset(pinned, 0, n);
	}},
	{"kernel after free", [] {
		OK(cuMemFree(block));
		fill(block, work);
	}},
	{"graph after free", [] {
		CUgraph g;
		CUgraphExec x;
		OK(cuStreamBeginCapture(work, CU_STREAM_CAPTURE_MODE_RELAXED));
		fill(block, work);
		OK(cuStreamEndCapture(work, &g));
		OK(cuGraphInstantiateWithFlags(&x, g, 0));
		OK(cuMemFree(block));
		OK(cuGraphLaunch(x, work));
	}},
	{"kernel beyond its memory", [] {
		fill(block + 16, work);
		OK(cuStreamSynchronize(work));
	}},
	{"events", [] {
		for (;;) OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	}},
	{"streams", [] {
		for (;;) OK(cuStreamCreate(&work, CU_STREAM_NON_BLOCKING));
	}},
	{"graphs", [] {
		CUgraph g;
		CUgraphExec x;
		OK(cuStreamBeginCapture(work, CU_STREAM_CAPTURE_MODE_RELAXED));
		OK(cuStreamEndCapture(work, &g));
		for (;;) OK(cuGraphInstantiateWithFlags(&x, g, 0));
	}},
	{"all destroyed", [] {
		for (int i = 0; i < 10000; i++) {
			OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
			OK(cuEventRecord(e, work));
			OK(cuEventDestroy(e));
			CUstream s;
			OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
			OK(cuStreamDestroy(s));
		}
	}},
};

int main(int, char **args) {
	if (!cases.count(args[1])) return 2;
	CUdevice d;
	CUcontext c;
	OK(cuInit(0));
	OK(cuDeviceGet(&d, 0));
	OK(cuDevicePrimaryCtxRetain(&c, d));
	OK(cuCtxSetCurrent(c));
	OK(cuModuleLoadData(&module, ".version 8.0\n.visible .entry fill_u8()\n"));
	OK(cuStreamCreate(&work, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&copies, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	OK(cuEventCreate(&f, CU_EVENT_DISABLE_TIMING));
	OK(cuMemAlloc(&block, n));
	OK(cuMemAlloc(&other, n));
	OK(cuMemHostAlloc((void **)&pinned, n, 0));
	memset(pinned, 0, n);
	cases[args[1]]();
	return 0;
}
