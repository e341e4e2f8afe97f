// What binds one library. The file that includes this has defined LIBRARY, its
// name, SONAMES, the files to try, and NAMES, the header that lists its functions as
// FUNCTION(name, absent): absent is what to call while the library has no such
// function.
//go:build cuda && linux

#define _GNU_SOURCE // for dlinfo
#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define HIDDEN __attribute__((visibility("hidden")))

// Each function is a jump through a slot.
#if defined(__x86_64__)
#define JUMP(name) "\tjmp *wick_slot_" #name "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP(name) "\tadrp x16, wick_slot_" #name "\n\tldr x16, [x16, :lo12:wick_slot_" #name "]\n\tbr x16\n"
#else
#error "Wick's CUDA backend runs on amd64 and arm64"
#endif
#define FUNCTION(name, absent) \
	HIDDEN void *wick_slot_##name = (void *)absent; \
	__asm__(".text\n.globl " #name "\n.hidden " #name "\n.type " #name ",@function\n" #name ":\n" JUMP(name));

static long fails(void) { return FAILURE; }
static const char *nothing(void) { return ""; }
static long zero(void) { return 0; }
#include NAMES
#undef FUNCTION

static const struct {
	const char *name;
	void **slot;
} functions[] = {
#define FUNCTION(name, absent) {#name, &wick_slot_##name},
#include NAMES
#undef FUNCTION
};

HIDDEN const char *JOIN(wick_dl_error_, LIBRARY) = "", *JOIN(wick_dl_path_, LIBRARY) = "";

__attribute__((constructor)) static void bind(void) {
	static const char *const sonames[] = {SONAMES};
	static char error[256];
	void *library = NULL;
	for (size_t i = 0; !library && i < sizeof sonames / sizeof *sonames; i++) {
		library = dlopen(sonames[i], RTLD_NOW | RTLD_GLOBAL);
		if (!library && i == 0) strncpy(error, dlerror(), sizeof error - 1);
	}
	if (!library) {
		JOIN(wick_dl_error_, LIBRARY) = error;
		return;
	}
	struct link_map *map;
	if (!dlinfo(library, RTLD_DI_LINKMAP, &map)) JOIN(wick_dl_path_, LIBRARY) = map->l_name;
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		void *p = dlsym(library, functions[i].name);
		if (p) *functions[i].slot = p;
	}
	(void)nothing;
	(void)zero;
}
