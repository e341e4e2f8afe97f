// Conversions between row-major arrays and those with channels last: batches of
// matrices of rows×cols are transposed, by tiles that go through shared memory, so that
// both sides are read and written in runs of 16 bytes.
#include "common.cuh"

#define TILE 64

template <class T> struct Pitch { enum { of = sizeof(T) == 2 ? TILE + 2 : TILE + 1 }; }; // columns of a tile lie in different banks

// put stores a pack. What comes from shared memory piece by piece the compiler would store so.
template <int N, class T> __device__ inline void put(T *p, i64 i, const Pack<T, N> &v) {
#ifdef __CUDA_ARCH__
	unsigned w[4];
	memcpy(w, &v, 16);
	asm volatile("st.v4.u32 [%0], {%1, %2, %3, %4};" : : "l"(p + i), "r"(w[0]), "r"(w[1]), "r"(w[2]), "r"(w[3]) : "memory");
#else
	store(p, i, v);
#endif
}

template <class T> __device__ inline void transpose(T *tile, T *dst, const T *src, i64 batch, i64 rows, i64 cols, i64 wide) {
	enum { V = 16 / sizeof(T), RUNS = TILE / V, PITCH = Pitch<T>::of };
	unsigned down = (unsigned)((rows + TILE - 1) / TILE), across = (unsigned)((cols + TILE - 1) / TILE);
	i64 tiles = batch * down * across;
	for (i64 t = blockIdx.x; t < tiles; t += gridDim.x) {
		i64 u = quotient(t, across), n = quotient(u, down);
		i64 c0 = (t - u * across) * TILE, r0 = (u - n * down) * TILE;
		const T *from = src + n * rows * cols;
		T *to = dst + n * rows * cols;
		if (wide) {
			for (int i = threadIdx.x; i < TILE * RUNS; i += 256) {
				int r = i / RUNS, c = i % RUNS * V;
				if (r0 + r >= rows || c0 + c >= cols) continue;
				Pack<T, V> p = load<V>(from, (r0 + r) * cols + c0 + c);
				for (int k = 0; k < V; k++) tile[r * PITCH + c + k] = p.v[k];
			}
		} else {
			for (int i = threadIdx.x; i < TILE * TILE; i += 256) {
				int r = i / TILE, c = i % TILE;
				if (r0 + r < rows && c0 + c < cols) tile[r * PITCH + c] = from[(r0 + r) * cols + c0 + c];
			}
		}
		__syncthreads();
		if (wide) {
			for (int i = threadIdx.x; i < TILE * RUNS; i += 256) {
				int c = i / RUNS, r = i % RUNS * V;
				if (r0 + r >= rows || c0 + c >= cols) continue;
				Pack<T, V> p;
				for (int k = 0; k < V; k++) p.v[k] = tile[(r + k) * PITCH + c];
				put(to, (c0 + c) * rows + r0 + r, p);
			}
		} else {
			for (int i = threadIdx.x; i < TILE * TILE; i += 256) {
				int c = i / TILE, r = i % TILE;
				if (r0 + r < rows && c0 + c < cols) to[(c0 + c) * rows + r0 + r] = tile[r * PITCH + c];
			}
		}
		__syncthreads();
	}
}

// Of few rows or columns, as images with three channels have, a thread moves all of a column or row.
template <class T> __device__ inline void transpose_few(T *dst, const T *src, i64 rows, i64 cols, Div length, i64 n) {
	EACH(i, n) {
		if (rows <= cols) {
			i64 b = quotient(i, length), c = i - b * cols;
			for (i64 r = 0; r < rows; r++) dst[i * rows + r] = src[(b * rows + r) * cols + c];
		} else {
			i64 b = quotient(i, length), r = i - b * rows;
			for (i64 c = 0; c < cols; c++) dst[(b * cols + c) * rows + r] = src[i * cols + c];
		}
	}
}

// wide says that rows and columns are whole runs of 16 bytes.
#define TRANSPOSE(bytes, T) \
	extern "C" __global__ void transpose_##bytes(T *dst, const T *src, i64 batch, i64 rows, i64 cols, i64 wide) { \
		__shared__ T tile[TILE * Pitch<T>::of]; \
		transpose<T>(tile, dst, src, batch, rows, cols, wide); \
	} \
	extern "C" __global__ void transpose_few_##bytes(T *dst, const T *src, i64 rows, i64 cols, Div length, i64 n) { transpose_few<T>(dst, src, rows, cols, length, n); }
TRANSPOSE(2, unsigned short)
TRANSPOSE(4, unsigned)
TRANSPOSE(8, unsigned long long)
