// A driver that computes on the host, for tests: the part of libcuda.so.1 that
// package cuda calls. It is stricter than a real one:
//   - what is put in a stream runs when somebody waits for it, not before, so that
//     results that are read too early, and memory that is given back too early, show;
//   - memory ends at a page that cannot be touched, begins with garbage (NaN as
//     floats), and is garbage again when it is freed;
//   - while a stream is captured, waiting for the device, memory that is given back,
//     memory of the host that is not pinned and events are errors, which end the
//     capture; launching a graph whose memory was given back ends the program;
//   - work that is given memory that was freed, memory that two streams use without an
//     event between them, host memory that is touched before a copy from or to it is
//     known to be done, and thousands of events, streams or graphs that nobody destroys
//     end the program with a sentence;
//   - copies past an allocation, double frees, calls without a current context and
//     launches beyond a device's limits are errors, and cuMemGetInfo counts what was
//     not freed.
// WICK_SIM_KERNELS names the library that kernels.sh made; of a module's image only
// the names of its kernels are read, unless the library has none of that name: then
// its PTX is run (ptx.h). WICK_SIM_DEVICES is the number of devices (1), WICK_SIM_MEMORY the bytes of
// each, WICK_SIM_DRIVER the driver's version (13000), WICK_SIM_FAIL_AFTER the number
// of launches after which the device is lost. WICK_SIM_REFUSE=1 makes it refuse all
// modules, and with WICK_SIM_NULL=1 nothing that is put in a stream ever runs, which
// shows what it costs to put it there.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include "ptx.h"
#define WICK_REAL_CUINIT // the headers of internal/cuda/compat may come first
extern "C" {
#include <cuda.h>
}
#include <deque>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <signal.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>
#define API extern "C" __attribute__((visibility("default"))) CUresult

struct Dim { unsigned x, y, z; };
typedef std::function<void(Dim, Dim, unsigned, void **)> Kernel;
typedef int (*Sizes)(size_t *);

struct CUctx_st { int device; };
// A clock says of streams, by number, how many of their works have come before.
typedef std::map<int, unsigned long> Clock;
// A mark is an event's place in a stream.
struct Mark {
	CUstream stream;
	Clock before;
	bool passed = false;
	double time = 0;
};
struct Work {
	std::function<void()> run;
	std::shared_ptr<Mark> marks;
};
static int streamsSoFar;
struct CUstream_st {
	int device;
	int number = ++streamsSoFar;
	unsigned long works = 0;
	Clock before; // what has come before whatever is put into the stream now
	std::deque<Work> queue;
	bool capturing = false, spoiled = false; // spoiled: the capture ends with an error
	CUgraph_st *graph = nullptr;
};
struct CUevent_st { std::shared_ptr<Mark> mark; }; // where it was recorded last
struct CUfunc_st {
	Kernel kernel;
	std::vector<size_t> sizes;
	std::string name;
};
struct CUmod_st {
	void *library;
	std::string image;
	std::map<std::string, CUfunc_st> functions;
};
struct CUgraph_st {
	std::vector<std::function<void()>> work;
	std::set<uintptr_t> memory; // allocations that the work may use
};
struct CUgraphExec_st {
	std::shared_ptr<std::vector<std::function<void()>>> work; // what was launched of it outlives it
	std::set<uintptr_t> memory;
	bool broken = false; // some of the memory is gone
};
struct Memory {
	size_t bytes;
	void *map;
	size_t mapped;
	int device; // -1: of the host, pinned
	struct Use {
		unsigned long work;
		std::string by;
	};
	std::map<int, Use> reads = {}, writes = {}; // the last of each stream
	int filling = 0, emptying = 0;              // copies in the streams to and from pinned memory
};

static std::recursive_mutex lock;
static std::map<uintptr_t, Memory> live;
static std::vector<CUstream> streams;
static std::set<CUgraphExec> graphs;
static thread_local CUcontext current;
static bool ready;
static size_t used[64];
static CUctx_st contexts[64];
static CUstream_st defaults[64];
static std::atomic<long> launches, waits;
static std::map<uintptr_t, size_t> freed; // where memory was
static Clock host;                         // what the host knows to be done
static size_t events;
static thread_local const char *running; // what computes
static thread_local std::vector<uintptr_t> seen; // what cuDNN or cuBLAS looked at for its next work
static bool lost;

static long env(const char *name, long otherwise) {
	const char *s = getenv(name);
	return s && *s ? atol(s) : otherwise;
}
static int devices() { return (int)env("WICK_SIM_DEVICES", 1); }
static size_t memory() { return (size_t)env("WICK_SIM_MEMORY", 1l << 31); }
static double now() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
#define LOCKED std::lock_guard<std::recursive_mutex> guard(lock)
#define NEED_CONTEXT \
	if (!current) return CUDA_ERROR_INVALID_CONTEXT; \
	if (lost) return CUDA_ERROR_ILLEGAL_ADDRESS; \
	LOCKED

static Memory *find(uintptr_t p, size_t n) {
	auto it = live.upper_bound(p);
	if (it == live.begin()) return nullptr;
	--it;
	return p + n <= it->first + it->second.bytes ? &it->second : nullptr;
}
static CUstream real(CUstream s) { return s && s != CU_STREAM_LEGACY && s != CU_STREAM_PER_THREAD ? s : &defaults[current->device]; }
template <class... A>
[[noreturn]] static void die(const char *format, A... a) {
	fprintf(stderr, "simulated driver: ");
	fprintf(stderr, format, a...);
	fprintf(stderr, "\n");
	abort();
}
static void merge(Clock &to, const Clock &from) {
	for (auto &e : from) to[e.first] = std::max(to[e.first], e.second);
}
static Clock reached(CUstream s) {
	Clock c = s->before;
	c[s->number] = s->works;
	return c;
}
static void drain(CUstream s, const Mark *until = nullptr) {
	while (!s->queue.empty() && !(until && until->passed)) {
		Work w = std::move(s->queue.front());
		s->queue.pop_front();
		if (w.run) w.run();
		if (w.marks) {
			w.marks->time = now();
			w.marks->passed = true;
		}
	}
}
static void drain_all() {
	for (auto &s : defaults) drain(&s);
	for (auto s : streams) drain(s);
}
static bool null() {
	static bool b = env("WICK_SIM_NULL", 0);
	return b;
}
// The host waits for a stream, for a place in one, or for all.
static void await(CUstream s) {
	waits++;
	drain(s);
	merge(host, reached(s));
}
static void await(const std::shared_ptr<Mark> &m) {
	if (!m) return;
	if (!m->passed) {
		waits++;
		drain(m->stream, m.get());
	}
	merge(host, m->before);
}
static void await_all() {
	waits++;
	drain_all();
	for (auto &s : defaults) merge(host, reached(&s));
	for (auto s : streams) merge(host, reached(s));
}

// A touch is memory that a work uses.
struct Touch {
	Memory *memory;
	bool writes;
};
// touch looks whether all that used the memory in other streams comes before the work that is put into s now.
static void touch(CUstream s, const Touch &t, const std::string &by) {
	auto look = [&](const std::map<int, Memory::Use> &uses) {
		for (auto &u : uses)
			if (u.first != s->number && s->before[u.first] < u.second.work)
				die("%s in stream %d uses %zu bytes that %s in stream %d uses too, and no event orders them", by.c_str(), s->number, t.memory->bytes, u.second.by.c_str(), u.first);
	};
	look(t.memory->writes);
	if (t.writes) look(t.memory->reads);
	(t.writes ? t.memory->writes : t.memory->reads)[s->number] = {s->works, by};
}
// guard lets the host do with pinned memory what the copies in the streams allow.
static void guard(Memory &m) {
	mprotect(m.map, m.mapped - (size_t)sysconf(_SC_PAGESIZE), m.filling ? PROT_NONE : m.emptying ? PROT_READ : PROT_READ | PROT_WRITE);
}
static struct sigaction otherwise;
// faulted says what was touched that may not be, and leaves the rest to whoever handled faults before.
static void faulted(int signal, siginfo_t *info, void *context) {
	uintptr_t p = (uintptr_t)info->si_addr;
	if (running) die("%s touches %p, which is not the device's memory", running, info->si_addr);
	LOCKED;
	for (auto &e : live) {
		Memory &m = e.second;
		if (p < (uintptr_t)m.map || p >= (uintptr_t)m.map + m.mapped) continue;
		if (m.filling || m.emptying)
			die("the host %s pinned memory before a copy %s it is known to be done", m.filling ? "touches" : "writes", m.filling ? "to" : "from");
		die("the host touches memory behind an allocation of %zu bytes", m.bytes);
	}
	if (otherwise.sa_flags & SA_SIGINFO) otherwise.sa_sigaction(signal, info, context);
	else sigaction(signal, &otherwise, nullptr); // and it happens again
}
// spoils ends captures, of a stream or of all, and returns whether there were any.
static bool spoils(CUstream only = nullptr) {
	bool any = false;
	for (auto s : streams)
		if (s->capturing && (!only || s == only)) any = s->spoiled = true;
	return any;
}
// uses notes that captured work may use the memory that p points to.
static void uses(uintptr_t p) {
	auto it = live.upper_bound(p);
	if (it == live.begin()) return;
	--it;
	if (p > it->first + it->second.bytes) return;
	for (auto s : streams)
		if (s->capturing) s->graph->memory.insert(it->first);
}
static void put(CUstream s, const std::string &by, const std::vector<Touch> &touches, std::function<void()> run) {
	if (null()) return;
	auto named = [by, run = std::move(run)] {
		const char *outer = running;
		running = by.c_str();
		run();
		running = outer;
	};
	if (s->capturing) {
		s->graph->work.push_back(std::move(named));
		return;
	}
	s->works++;
	merge(s->before, host);
	for (auto &t : touches) touch(s, t, by);
	s->queue.push_back({std::move(named), nullptr});
}
// pointed finds the memory that a word may point to. A word that points to where memory was is an error.
static Memory *pointed(uintptr_t p, const std::string &by) {
	Memory *m = find(p, 1);
	if (m) return m;
	auto it = freed.upper_bound(p);
	if (it != freed.begin() && p < (--it)->first + it->second) die("%s is given memory of %zu bytes that was freed", by.c_str(), it->second);
	return nullptr;
}
static CUresult reserve(size_t n, int device, uintptr_t *out) {
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (n + 15) / 16 * 16, mapped = (room + page - 1) / page * page + page;
	char *m = (char *)mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
	mprotect(m + mapped - page, page, PROT_NONE);
	memset(m, 0xff, mapped - page);
	uintptr_t p = (uintptr_t)(m + mapped - page - room);
	for (auto it = freed.begin(); it != freed.end();) it = it->first < (uintptr_t)m + mapped && it->first + it->second > (uintptr_t)m ? freed.erase(it) : std::next(it);
	live[p] = {n, m, mapped, device};
	*out = p;
	return CUDA_SUCCESS;
}
static CUresult give_back(uintptr_t p, bool host) {
	auto it = live.find(p);
	if (it == live.end() || (it->second.device < 0) != host) return CUDA_ERROR_INVALID_VALUE;
	if (spoils()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	for (auto g : graphs)
		if (g->memory.count(p)) g->broken = true;
	await_all(); // as cuMemFree does
	Memory m = it->second;
	live.erase(it);
	freed[p] = m.bytes;
	const unsigned char *end = (const unsigned char *)p + m.bytes;
	for (; (uintptr_t)end % 16; end++)
		if (*end != 0xff) {
			fprintf(stderr, "simulated driver: somebody wrote behind an allocation of %zu bytes\n", m.bytes);
			abort();
		}
	if (!host) used[m.device] -= m.bytes;
	munmap(m.map, m.mapped);
	return CUDA_SUCCESS;
}

API cuInit(unsigned) {
	if (devices() == 0) return CUDA_ERROR_NO_DEVICE;
	LOCKED;
	if (!ready) {
		struct sigaction a = {};
		a.sa_sigaction = faulted;
		a.sa_flags = SA_SIGINFO | SA_ONSTACK;
		sigaction(SIGSEGV, &a, &otherwise);
	}
	ready = true;
	for (int i = 0; i < 64; i++) contexts[i].device = defaults[i].device = i;
	return CUDA_SUCCESS;
}
API cuDriverGetVersion(int *v) {
	*v = (int)env("WICK_SIM_DRIVER", 13000);
	return CUDA_SUCCESS;
}
API cuGetErrorName(CUresult e, const char **s) {
	static thread_local char b[40];
	snprintf(b, sizeof b, "CUDA_ERROR_%d", (int)e);
	*s = b;
	return CUDA_SUCCESS;
}
API cuGetErrorString(CUresult e, const char **s) { return cuGetErrorName(e, s); }
API cuDeviceGetCount(int *n) {
	if (!ready) return CUDA_ERROR_NOT_INITIALIZED;
	*n = devices();
	return CUDA_SUCCESS;
}
API cuDeviceGet(CUdevice *d, int i) {
	if (!ready) return CUDA_ERROR_NOT_INITIALIZED;
	if (i < 0 || i >= devices()) return CUDA_ERROR_INVALID_DEVICE;
	*d = i;
	return CUDA_SUCCESS;
}
API cuDeviceGetName(char *s, int n, CUdevice) {
	snprintf(s, (size_t)n, "Simulated GPU");
	return CUDA_SUCCESS;
}
API cuDeviceTotalMem_v2(size_t *n, CUdevice) {
	*n = memory();
	return CUDA_SUCCESS;
}
API cuDeviceGetAttribute(int *v, CUdevice_attribute a, CUdevice) {
	switch (a) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *v = 9; break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *v = 0; break;
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *v = 2; break;
	case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *v = 1024; break;
	case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *v = 32; break;
	default: *v = 0;
	}
	return CUDA_SUCCESS;
}
API cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice d) {
	if (!ready || d < 0 || d >= devices()) return CUDA_ERROR_INVALID_DEVICE;
	*c = &contexts[d];
	return CUDA_SUCCESS;
}
API cuDevicePrimaryCtxRelease_v2(CUdevice) { return CUDA_SUCCESS; }
API cuCtxSetCurrent(CUcontext c) {
	current = c;
	return CUDA_SUCCESS;
}
API cuCtxGetCurrent(CUcontext *c) {
	*c = current;
	return CUDA_SUCCESS;
}
API cuCtxSynchronize() {
	NEED_CONTEXT;
	if (spoils()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	await_all();
	return lost ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS;
}

API cuMemAlloc_v2(CUdeviceptr *p, size_t n) {
	NEED_CONTEXT;
	if (!n) return CUDA_ERROR_INVALID_VALUE;
	int d = current->device;
	if (used[d] + n > memory()) return CUDA_ERROR_OUT_OF_MEMORY;
	// Each so-manieth request is refused twice, so that the caller has to look for memory in the middle of its work.
	static long scarce = env("WICK_SIM_SCARCE", 0), requests;
	if (scarce && requests++ % scarce >= scarce - 2) return CUDA_ERROR_OUT_OF_MEMORY;
	if (live.size() >= 28000) return CUDA_ERROR_OUT_OF_MEMORY; // each takes two of the 65,530 mappings that Linux allows, and threads need some too
	uintptr_t q;
	CUresult r = reserve(n, d, &q);
	if (r == CUDA_SUCCESS) {
		used[d] += n;
		*p = (CUdeviceptr)q;
	}
	return r;
}
API cuMemFree_v2(CUdeviceptr p) {
	NEED_CONTEXT;
	return give_back((uintptr_t)p, false);
}
API cuMemHostAlloc(void **p, size_t n, unsigned) {
	NEED_CONTEXT;
	if (!n) return CUDA_ERROR_INVALID_VALUE;
	return reserve(n, -1, (uintptr_t *)p);
}
API cuMemFreeHost(void *p) {
	NEED_CONTEXT;
	return give_back((uintptr_t)p, true);
}
API cuMemGetInfo_v2(size_t *free, size_t *total) {
	NEED_CONTEXT;
	*total = memory();
	*free = *total - used[current->device];
	return CUDA_SUCCESS;
}
static CUresult copy(uintptr_t to, uintptr_t from, size_t n, bool toDevice, bool fromDevice, CUstream s) {
	if (!n) return CUDA_SUCCESS;
	Memory *d = find(to, n), *f = find(from, n);
	if (toDevice && (!d || d->device < 0) || fromDevice && (!f || f->device < 0)) return CUDA_ERROR_INVALID_VALUE;
	s = real(s);
	uses(to);
	uses(from);
	std::string by = toDevice && fromDevice ? "a copy" : toDevice ? "a copy from the host" : "a copy to the host";
	std::vector<Touch> touches;
	if (f) touches.push_back({f, false});
	if (d) touches.push_back({d, true});
	if (!toDevice && !d) { // to memory of the host that is not pinned: the driver waits
		if (spoils(s)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
		put(s, by, touches, [] {});
		await(s);
		memcpy((void *)to, (void *)from, n);
		return CUDA_SUCCESS;
	}
	if (!fromDevice && !f) { // from such memory: the driver takes the bytes at once, and may have to wait if they are many
		if (spoils(s)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
		if (n > 64 << 10) waits++;
		auto bytes = std::make_shared<std::vector<char>>((char *)from, (char *)from + n);
		put(s, by, touches, [=] { memcpy((void *)to, bytes->data(), n); });
		return CUDA_SUCCESS;
	}
	Memory *pinned = d->device < 0 ? d : f->device < 0 ? f : nullptr;
	if (!pinned) {
		put(s, by, touches, [=] { memmove((void *)to, (void *)from, n); });
		return CUDA_SUCCESS;
	}
	if (null()) { // what is fetched is zeros
		if (!toDevice) memset((void *)to, 0, n);
		return CUDA_SUCCESS;
	}
	int *copies = pinned == d ? &pinned->filling : &pinned->emptying;
	bool guarded = !s->capturing;
	put(s, by, touches, [=] {
		mprotect(pinned->map, pinned->mapped - (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE);
		memmove((void *)to, (void *)from, n);
		if (guarded) --*copies;
		guard(*pinned);
	});
	if (guarded) ++*copies;
	guard(*pinned);
	return CUDA_SUCCESS;
}
API cuMemcpyHtoDAsync_v2(CUdeviceptr d, const void *h, size_t n, CUstream s) {
	NEED_CONTEXT;
	return copy(d, (uintptr_t)h, n, true, false, s);
}
API cuMemcpyDtoHAsync_v2(void *h, CUdeviceptr d, size_t n, CUstream s) {
	NEED_CONTEXT;
	return copy((uintptr_t)h, d, n, false, true, s);
}
API cuMemcpyDtoDAsync_v2(CUdeviceptr d, CUdeviceptr f, size_t n, CUstream s) {
	NEED_CONTEXT;
	return copy(d, f, n, true, true, s);
}
API cuMemcpyHtoD_v2(CUdeviceptr d, const void *h, size_t n) {
	NEED_CONTEXT;
	if (spoils()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	CUresult r = copy(d, (uintptr_t)h, n, true, false, nullptr);
	await_all();
	return r;
}
API cuMemcpyDtoH_v2(void *h, CUdeviceptr d, size_t n) {
	NEED_CONTEXT;
	if (spoils()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	await_all();
	CUresult r = copy((uintptr_t)h, d, n, false, true, nullptr);
	await_all();
	return r;
}
API cuMemsetD8Async(CUdeviceptr d, unsigned char v, size_t n, CUstream s) {
	NEED_CONTEXT;
	if (n && !find(d, n)) return CUDA_ERROR_INVALID_VALUE;
	uses(d);
	if (n) put(real(s), "a memset", {{find(d, n), true}}, [=] { memset((void *)d, v, n); });
	return CUDA_SUCCESS;
}
API cuMemsetD32Async(CUdeviceptr d, unsigned v, size_t n, CUstream s) {
	NEED_CONTEXT;
	if (n && !find(d, 4 * n)) return CUDA_ERROR_INVALID_VALUE;
	uses(d);
	if (n) put(real(s), "a memset", {{find(d, 4 * n), true}}, [=] { for (size_t i = 0; i < n; i++) ((unsigned *)d)[i] = v; });
	return CUDA_SUCCESS;
}

API cuStreamCreate(CUstream *s, unsigned) {
	NEED_CONTEXT;
	if (streams.size() >= 1024) die("there are %zu streams that nobody has destroyed", streams.size());
	*s = new CUstream_st{current->device};
	streams.push_back(*s);
	return CUDA_SUCCESS;
}
API cuStreamDestroy_v2(CUstream s) {
	NEED_CONTEXT;
	await(s);
	for (size_t i = 0; i < streams.size(); i++)
		if (streams[i] == s) {
			streams.erase(streams.begin() + (long)i);
			delete s;
			return CUDA_SUCCESS;
		}
	return CUDA_ERROR_INVALID_HANDLE;
}
API cuStreamSynchronize(CUstream s) {
	NEED_CONTEXT;
	if (spoils(real(s))) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	await(real(s));
	return lost ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS;
}
API cuStreamWaitEvent(CUstream s, CUevent e, unsigned) {
	NEED_CONTEXT;
	if (spoils(real(s))) return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
	auto m = e->mark; // what is recorded later does not matter
	if (!m) return CUDA_SUCCESS;
	merge(real(s)->before, m->before);
	if (!m->passed && m->stream != real(s))
		put(real(s), "a wait", {}, [=] { if (!m->passed) drain(m->stream, m.get()); });
	return CUDA_SUCCESS;
}
API cuStreamBeginCapture_v2(CUstream s, CUstreamCaptureMode mode) {
	NEED_CONTEXT;
	// In the other modes, what other threads do is forbidden too, and memory cannot be had.
	if (mode != CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_NOT_SUPPORTED;
	if (!s || s->capturing) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	s->capturing = true;
	s->spoiled = false;
	s->graph = new CUgraph_st;
	return CUDA_SUCCESS;
}
API cuStreamEndCapture(CUstream s, CUgraph *g) {
	NEED_CONTEXT;
	if (!s->capturing) return CUDA_ERROR_ILLEGAL_STATE;
	s->capturing = false;
	*g = s->spoiled ? nullptr : s->graph;
	if (s->spoiled) delete s->graph;
	s->graph = nullptr;
	return s->spoiled ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
}
API cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
	static thread_local CUstreamCaptureMode own = CU_STREAM_CAPTURE_MODE_GLOBAL;
	std::swap(own, *mode);
	return CUDA_SUCCESS;
}
API cuStreamIsCapturing(CUstream s, CUstreamCaptureStatus *c) {
	NEED_CONTEXT;
	*c = real(s)->capturing ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
	return CUDA_SUCCESS;
}
API cuGraphInstantiateWithFlags(CUgraphExec *e, CUgraph g, unsigned long long) {
	NEED_CONTEXT;
	if (graphs.size() >= 512) die("there are %zu graphs that nobody has destroyed", graphs.size());
	*e = new CUgraphExec_st{std::make_shared<std::vector<std::function<void()>>>(g->work), g->memory};
	graphs.insert(*e);
	return CUDA_SUCCESS;
}
API cuGraphLaunch(CUgraphExec e, CUstream s) {
	NEED_CONTEXT;
	if (spoils(real(s))) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	if (!graphs.count(e)) return CUDA_ERROR_INVALID_VALUE;
	if (e->broken) die("a graph is launched whose memory was given back");
	std::vector<Touch> touches;
	for (uintptr_t p : e->memory) touches.push_back({&live[p], true});
	put(real(s), "a graph", touches, [work = e->work] { for (auto &w : *work) w(); });
	return CUDA_SUCCESS;
}
API cuGraphDestroy(CUgraph g) {
	delete g;
	return CUDA_SUCCESS;
}
API cuGraphExecDestroy(CUgraphExec e) {
	LOCKED;
	if (!graphs.erase(e)) return CUDA_ERROR_INVALID_VALUE;
	delete e;
	return CUDA_SUCCESS;
}
API cuEventCreate(CUevent *e, unsigned) {
	NEED_CONTEXT;
	if (++events > 4096) die("there are %zu events that nobody has destroyed", events - 1);
	*e = new CUevent_st;
	return CUDA_SUCCESS;
}
API cuEventDestroy_v2(CUevent e) {
	NEED_CONTEXT;
	events--;
	delete e;
	return CUDA_SUCCESS;
}
API cuEventRecord(CUevent e, CUstream s) {
	NEED_CONTEXT;
	s = real(s);
	if (spoils(s)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	e->mark = std::make_shared<Mark>(Mark{s, reached(s)});
	s->queue.push_back({nullptr, e->mark});
	return CUDA_SUCCESS;
}
API cuEventSynchronize(CUevent e) {
	NEED_CONTEXT;
	if (e->mark && spoils(e->mark->stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	await(e->mark);
	return CUDA_SUCCESS;
}
API cuEventQuery(CUevent e) {
	NEED_CONTEXT;
	if (e->mark && !e->mark->passed) return CUDA_ERROR_NOT_READY;
	if (e->mark) merge(host, e->mark->before);
	return CUDA_SUCCESS;
}
#undef cuEventElapsedTime
API cuEventElapsedTime(float *ms, CUevent a, CUevent b) {
	NEED_CONTEXT;
	if (!a->mark || !b->mark) return CUDA_ERROR_INVALID_HANDLE;
	if (!a->mark->passed || !b->mark->passed) return CUDA_ERROR_NOT_READY;
	*ms = (float)(b->mark->time - a->mark->time);
	return CUDA_SUCCESS;
}

API cuModuleLoadData(CUmodule *m, const void *image) {
	NEED_CONTEXT;
	if (strncmp((const char *)image, ".version", 8)) return CUDA_ERROR_INVALID_PTX;
	if (env("WICK_SIM_REFUSE", 0)) return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
	const char *path = getenv("WICK_SIM_KERNELS");
	void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
	if (!library) {
		fprintf(stderr, "simulated driver: %s\n", path ? dlerror() : "WICK_SIM_KERNELS is not set");
		return CUDA_ERROR_INVALID_IMAGE;
	}
	*m = new CUmod_st{library, (const char *)image, {}};
	return CUDA_SUCCESS;
}
API cuModuleUnload(CUmodule m) {
	NEED_CONTEXT;
	drain_all();
	dlclose(m->library);
	delete m;
	return CUDA_SUCCESS;
}
API cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name) {
	NEED_CONTEXT;
	if (m->image.find(std::string(".entry ") + name + "(") == std::string::npos) return CUDA_ERROR_NOT_FOUND;
	auto k = (void (*)(Dim, Dim, unsigned, void **))dlsym(m->library, (std::string("simlaunch_") + name).c_str());
	Sizes s = (Sizes)dlsym(m->library, (std::string("simsizes_") + name).c_str());
	if (!k || !s) {
		try {
			auto program = ptx::Parser([&](const std::string &f) {
				bool there = m->image.find(".func  (") != std::string::npos && m->image.find(" " + f + "(") != std::string::npos;
				return there ? dlsym(m->library, f.c_str()) : nullptr;
			}).parse(m->image, name);
			Kernel run = [program](Dim grid, Dim block, unsigned, void **p) { program->run(grid.x, block.x, p); };
			*f = &(m->functions[name] = {run, program->sizes, name});
			return CUDA_SUCCESS;
		} catch (std::exception &e) {
			fprintf(stderr, "simulated driver: %s\n", e.what());
			return CUDA_ERROR_INVALID_PTX;
		}
	}
	size_t sizes[64];
	int n = s(sizes);
	*f = &(m->functions[name] = {k, {sizes, sizes + n}, name});
	return CUDA_SUCCESS;
}
API cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned bytes, CUstream s, void **p, void **) {
	NEED_CONTEXT;
	if (!gx || !gy || !gz || !bx || !by || !bz || bx * by * bz > 1024 || gy > 65535 || gz > 65535 || bytes > 49152) return CUDA_ERROR_INVALID_VALUE;
	if (null()) return CUDA_SUCCESS;
	auto params = std::make_shared<std::vector<std::vector<char>>>();
	std::string name = "the kernel " + f->name;
	std::vector<Touch> touches;
	for (size_t i = 0; i < f->sizes.size(); i++) {
		params->emplace_back((char *)p[i], (char *)p[i] + f->sizes[i]);
		// Whatever looks like a pointer may be one.
		for (size_t at = 0; at + 8 <= f->sizes[i]; at += 8) {
			uintptr_t word;
			memcpy(&word, (char *)p[i] + at, 8);
			if (Memory *m = pointed(word, name)) touches.push_back({m, true});
			if (real(s)->capturing) uses(word);
		}
	}
	put(real(s), name, touches, [=] {
		long limit = env("WICK_SIM_FAIL_AFTER", -1);
		if (limit >= 0 && ++launches > limit) lost = true;
		if (lost) return;
		std::vector<void *> pointers;
		for (auto &v : *params) pointers.push_back(v.data());
		f->kernel({gx, gy, gz}, {bx, by, bz}, bytes, pointers.data());
	});
	return CUDA_SUCCESS;
}

// For the simulated cuDNN and cuBLAS: they put their work in streams too, and look
// whether n bytes from p are there.
extern "C" __attribute__((visibility("default"))) void wick_sim_put(CUstream s, std::function<void()> *run) {
	LOCKED;
	std::vector<Touch> touches;
	for (uintptr_t p : seen)
		if (Memory *m = find(p, 1)) touches.push_back({m, true});
	seen.clear();
	put(s ? s : &defaults[0], "cuDNN or cuBLAS", touches, *run);
}
extern "C" __attribute__((visibility("default"))) bool wick_sim_inside(const void *p, size_t n) {
	LOCKED;
	uses((uintptr_t)p);
	seen.push_back((uintptr_t)p);
	return n == 0 || find((uintptr_t)p, n);
}
// For tests: how often the host has waited for a device.
extern "C" __attribute__((visibility("default"))) long wick_sim_waits() { return waits; }
