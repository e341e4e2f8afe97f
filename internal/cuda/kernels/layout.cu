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

// Of few rows, as weights of 3×3 and images of three channels have, a tile has all, and what becomes of it is one run. Of
// few columns it is the other way round. rows is how many there are of them, length how long they are.
#define MOST_FEW 16
#define ACROSS 256

template <class T> __device__ inline void transpose_few(T *tile, T *dst, const T *src, i64 batch, i64 length, int rows, i64 fromRows, i64 wide) {
	enum { V = 16 / sizeof(T) };
	unsigned across = (unsigned)((length + ACROSS - 1) / ACROSS);
	for (i64 t = blockIdx.x; t < batch * across; t += gridDim.x) {
		i64 n = quotient(t, across), c0 = (t - n * across) * ACROSS;
		int width = (int)(length - c0 < ACROSS ? length - c0 : ACROSS), all = rows * width;
		const T *from = src + n * length * rows;
		T *to = dst + n * length * rows;
		// The tile is as the side of which a tile is one run: column c of it is the few elements from c·rows on.
		if (!fromRows) {
			if (wide) {
				for (int i = threadIdx.x * V; i < all; i += 256 * V) {
					Pack<T, V> p = load<V>(from, c0 * rows + i);
					for (int k = 0; k < V; k++) tile[i + k] = p.v[k];
				}
			} else {
				for (int i = threadIdx.x; i < all; i += 256) tile[i] = from[c0 * rows + i];
			}
		} else if (wide) {
			for (int i = threadIdx.x; i < rows * (ACROSS / V); i += 256) {
				int r = i / (ACROSS / V), c = i % (ACROSS / V) * V;
				if (c >= width) continue;
				Pack<T, V> p = load<V>(from, r * length + c0 + c);
				for (int k = 0; k < V; k++) tile[(c + k) * rows + r] = p.v[k];
			}
		} else {
			for (int i = threadIdx.x; i < rows * ACROSS; i += 256) {
				int r = i / ACROSS, c = i % ACROSS;
				if (c < width) tile[c * rows + r] = from[r * length + c0 + c];
			}
		}
		__syncthreads();
		if (fromRows) {
			if (wide) {
				for (int i = threadIdx.x * V; i < all; i += 256 * V) {
					Pack<T, V> p;
					for (int k = 0; k < V; k++) p.v[k] = tile[i + k];
					put(to, c0 * rows + i, p);
				}
			} else {
				for (int i = threadIdx.x; i < all; i += 256) to[c0 * rows + i] = tile[i];
			}
		} else if (wide) {
			for (int i = threadIdx.x; i < rows * (ACROSS / V); i += 256) {
				int r = i / (ACROSS / V), c = i % (ACROSS / V) * V;
				if (c >= width) continue;
				Pack<T, V> p;
				for (int k = 0; k < V; k++) p.v[k] = tile[(c + k) * rows + r];
				put(to, r * length + c0 + c, p);
			}
		} else {
			for (int i = threadIdx.x; i < rows * ACROSS; i += 256) {
				int r = i / ACROSS, c = i % ACROSS;
				if (c < width) to[r * length + c0 + c] = tile[c * rows + r];
			}
		}
		__syncthreads();
	}
}

// wide says that rows and columns are whole runs of 16 bytes.
#define TRANSPOSE(bytes, T) \
	extern "C" __global__ void transpose_##bytes(T *dst, const T *src, i64 batch, i64 rows, i64 cols, i64 wide) { \
		__shared__ T tile[TILE * Pitch<T>::of]; \
		transpose<T>(tile, dst, src, batch, rows, cols, wide); \
	} \
	extern "C" __global__ void transpose_few_##bytes(T *dst, const T *src, i64 batch, i64 length, i64 few, i64 fromRows, i64 wide) { \
		__shared__ T tile[MOST_FEW * ACROSS]; \
		transpose_few<T>(tile, dst, src, batch, length, (int)few, fromRows, wide); \
	}
TRANSPOSE(2, unsigned short)
TRANSPOSE(4, unsigned)
TRANSPOSE(8, unsigned long long)
