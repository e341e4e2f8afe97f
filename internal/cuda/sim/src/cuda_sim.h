// What lets a .cu file compile as C++ for the host: the threads of a block run as
// fibers, one after the other up to the next barrier, so that __syncthreads,
// shuffles, shared memory and atomics work. Blocks run in turn.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __shared__ static
#define __restrict__
#define __launch_bounds__(...)
#define __noinline__ // host compilers know the word as an attribute's name

struct SimDim { unsigned x, y, z; };
// A Context is where a thread of a block has stopped. What is in the C library for it calls the system each time, which takes
// most of a test's time, so there is a switch of our own for the processor that tests run on.
#ifdef __x86_64__
__asm__(".text\nsim_switch:\n\tpush %rbp\n\tpush %rbx\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\tmov %rsp, (%rdi)\n\tmov %rsi, %rsp\n"
	"\tpop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbx\n\tpop %rbp\n\tret\n");
extern "C" __attribute__((visibility("hidden"))) void sim_switch(void **from, void *to);
struct Context { void *top; };
inline void begin(Context *c, std::vector<unsigned char> &stack, void (*f)()) {
	void **s = (void **)(((uintptr_t)stack.data() + stack.size()) / 16 * 16);
	*--s = nullptr; // f never returns
	*--s = (void *)f;
	for (int i = 0; i < 6; i++) *--s = nullptr;
	c->top = s;
}
inline void change(Context *from, Context *to) { sim_switch(&from->top, to->top); }
#else
typedef ucontext_t Context;
inline void begin(Context *c, std::vector<unsigned char> &stack, void (*f)()) {
	getcontext(c);
	c->uc_stack.ss_sp = stack.data();
	c->uc_stack.ss_size = stack.size();
	c->uc_link = nullptr;
	makecontext(c, f, 0);
}
inline void change(Context *from, Context *to) { swapcontext(from, to); }
#endif
namespace sim {
inline thread_local SimDim tid, bid, bdim, gdim;
inline thread_local unsigned char *dynamic;
struct Fiber {
	Context context;
	bool done;
	SimDim tid;
	std::vector<unsigned char> stack;
};
inline thread_local Context scheduler;
inline thread_local Fiber *current;
inline thread_local std::function<void()> body;
inline thread_local uint64_t exchange[1024];

inline void yield() { // to the next thread of the block
	Fiber *me = current;
	change(&me->context, &scheduler);
	tid = me->tid;
}
inline void enter() {
	body();
	current->done = true;
	change(&current->context, &scheduler);
}
inline unsigned rank() { return tid.x + bdim.x * (tid.y + bdim.y * tid.z); }
inline void run_block(bool fibers) {
	unsigned n = bdim.x * bdim.y * bdim.z;
	auto at = [](unsigned i) { return SimDim{i % bdim.x, i / bdim.x % bdim.y, i / (bdim.x * bdim.y)}; };
	if (!fibers) {
		for (unsigned i = 0; i < n; i++) {
			tid = at(i);
			body();
		}
		return;
	}
	static thread_local std::vector<Fiber> all;
	if (all.size() < n) all.resize(n);
	for (unsigned i = 0; i < n; i++) {
		Fiber &f = all[i];
		f.done = false;
		f.tid = at(i);
		if (f.stack.empty()) f.stack.resize(32 << 10);
		begin(&f.context, f.stack, enter);
	}
	for (bool live = true; live;) { // each turn runs every thread to its next barrier
		live = false;
		for (unsigned i = 0; i < n; i++) {
			if (all[i].done) continue;
			current = &all[i];
			tid = current->tid;
			change(&scheduler, &current->context);
			live |= !all[i].done;
		}
	}
}
template <class... A, size_t... I>
void call(void (*k)(A...), void **p, std::index_sequence<I...>) {
	k(*static_cast<std::remove_const_t<A> *>(p[I])...);
}
template <class... A>
void launch(void (*k)(A...), bool fibers, SimDim g, SimDim b, unsigned bytes, void **p) {
	std::vector<unsigned char> memory(bytes + 64, 0xff);
	dynamic = (unsigned char *)(((uintptr_t)memory.data() + 15) / 16 * 16);
	gdim = g;
	bdim = b;
	body = [=] { call(k, p, std::index_sequence_for<A...>{}); };
	for (unsigned z = 0; z < g.z; z++)
		for (unsigned y = 0; y < g.y; y++)
			for (unsigned x = 0; x < g.x; x++) {
				bid = {x, y, z};
				run_block(fibers);
			}
}
// sizes copies the sizes of a kernel's parameters to s and returns their number.
template <class... A>
int sizes(void (*)(A...), size_t *s) {
	size_t all[] = {sizeof(A)..., 0};
	memcpy(s, all, sizeof all);
	return sizeof...(A);
}
template <class T>
T shuffle(T v, unsigned from) {
	unsigned at = rank();
	memcpy(&exchange[at], &v, sizeof v);
	yield();
	T r;
	memcpy(&r, &exchange[from], sizeof r);
	yield();
	return r;
}
} // namespace sim
#define threadIdx sim::tid
#define blockIdx sim::bid
#define blockDim sim::bdim
#define gridDim sim::gdim
#define warpSize 32
inline void __syncthreads() { sim::yield(); }
inline void __syncwarp(unsigned = ~0u) { sim::yield(); }
template <class T>
T __shfl_down_sync(unsigned, T v, unsigned d, int w = 32) {
	unsigned at = sim::rank(), lane = at % w;
	return sim::shuffle(v, lane + d < (unsigned)w ? at + d : at);
}
template <class T>
T __shfl_xor_sync(unsigned, T v, unsigned mask, int w = 32) {
	unsigned at = sim::rank(), lane = at % w;
	return sim::shuffle(v, at - lane + (lane ^ mask) % w);
}
template <class T>
T __shfl_sync(unsigned, T v, int lane, int w = 32) {
	unsigned at = sim::rank();
	return sim::shuffle(v, at - at % w + lane % w);
}
template <class T>
T atomicAdd(T *p, T v) {
	T old = *p;
	*p = old + v;
	return old;
}
inline unsigned long long atomicCAS(unsigned long long *p, unsigned long long compare, unsigned long long v) {
	unsigned long long old = *p;
	if (old == compare) *p = v;
	return old;
}
inline unsigned long long atomicExch(unsigned long long *p, unsigned long long v) {
	unsigned long long old = *p;
	*p = v;
	return old;
}
inline void __threadfence() {}
template <class T>
T atomicMax(T *p, T v) {
	T old = *p;
	if (v > old) *p = v;
	return old;
}
template <class T>
T atomicMin(T *p, T v) {
	T old = *p;
	if (v < old) *p = v;
	return old;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned long long)((unsigned __int128)a * b >> 64); }
template <class To, class From>
To sim_bits(From v) {
	static_assert(sizeof(To) == sizeof(From));
	To t;
	memcpy(&t, &v, sizeof t);
	return t;
}
inline unsigned __float_as_uint(float v) { return sim_bits<unsigned>(v); }
inline float __uint_as_float(unsigned v) { return sim_bits<float>(v); }
inline int __float_as_int(float v) { return sim_bits<int>(v); }
inline float __int_as_float(int v) { return sim_bits<float>(v); }
inline long long __double_as_longlong(double v) { return sim_bits<long long>(v); }
inline double __longlong_as_double(long long v) { return sim_bits<double>(v); }
inline float rsqrtf(float v) { return 1 / sqrtf(v); }
inline double rsqrt(double v) { return 1 / sqrt(v); }
inline float __expf(float v) { return expf(v); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
#define SIM_KERNEL(k, fibers) \
	extern "C" __attribute__((visibility("default"))) void simlaunch_##k(SimDim g, SimDim b, unsigned bytes, void **p) { sim::launch(k, fibers, g, b, bytes, p); } \
	extern "C" __attribute__((visibility("default"))) int simsizes_##k(size_t *s) { return sim::sizes(k, s); }
