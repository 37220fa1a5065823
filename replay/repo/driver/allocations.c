/*
 * Has an allocation of one library fail: in the table through which it calls malloc and its
 * like stand functions of this file. What others allocate, the C library for itself
 * included, is left alone. Loaded beside the library by the worker, and part of the driver.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int allocations_left;  /* until one fails, counted from 1; 0 for never */

static int allocation_fails(void)
{
    if (!allocations_left || --allocations_left)
        return 0;
    errno = ENOMEM;
    return 1;
}

#define ALLOCATES(result, name, takes, given) \
    static result (*own_##name) takes; \
    static result failing_##name takes \
    { \
        return allocation_fails() ? NULL : own_##name given; \
    }
ALLOCATES(void *, malloc, (size_t size), (size))
ALLOCATES(void *, calloc, (size_t count, size_t size), (count, size))
ALLOCATES(void *, realloc, (void *old, size_t size), (old, size))
ALLOCATES(void *, reallocarray, (void *old, size_t count, size_t size), (old, count, size))
ALLOCATES(void *, aligned_alloc, (size_t align, size_t size), (align, size))
ALLOCATES(char *, strdup, (const char *text), (text))
ALLOCATES(char *, strndup, (const char *text, size_t size), (text, size))

#define ROW(name) {#name, (void **)&own_##name, (void *)failing_##name}
static const struct {
    const char *name;
    void **own;
    void *failing;
} allocators[] = {
    ROW(malloc), ROW(calloc), ROW(realloc), ROW(reallocarray), ROW(aligned_alloc), ROW(strdup),
    ROW(strndup),
};

static void allocations_patch(void **slot, const char *name)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)slot & -page;

    for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++)
        if (!strcmp(allocators[i].name, name) && *slot && *slot != allocators[i].failing) {
            if (mprotect((void *)start, page, PROT_READ | PROT_WRITE))
                return;
            *allocators[i].own = *slot;
            *slot = allocators[i].failing;
        }
}

static void allocations_table(const struct link_map *map, const ElfW(Rela) *rows, size_t size,
                              const ElfW(Sym) *symbols, const char *names)
{
    for (const ElfW(Rela) *row = rows; row && (size_t)((char *)row - (char *)rows) < size; row++) {
        const ElfW(Sym) *symbol = symbols + ELF64_R_SYM(row->r_info);

        if (ELF64_R_SYM(row->r_info) && symbol->st_shndx == SHN_UNDEF && !row->r_addend)
            allocations_patch((void **)(map->l_addr + row->r_offset), names + symbol->st_name);
    }
}

/* The calls of a library that dlopen gave go through here from now on. */
void allocations_watch(void *handle)
{
    struct link_map *map = NULL;
    const ElfW(Rela) *calls = NULL, *others = NULL;
    const ElfW(Sym) *symbols = NULL;
    const char *names = NULL;
    size_t calls_size = 0, others_size = 0;

    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) || !map)
        return;
    for (const ElfW(Dyn) *one = map->l_ld; one->d_tag != DT_NULL; one++) {
        switch (one->d_tag) {
        case DT_JMPREL: calls = (void *)one->d_un.d_ptr; break;
        case DT_PLTRELSZ: calls_size = one->d_un.d_val; break;
        case DT_RELA: others = (void *)one->d_un.d_ptr; break;
        case DT_RELASZ: others_size = one->d_un.d_val; break;
        case DT_SYMTAB: symbols = (void *)one->d_un.d_ptr; break;
        case DT_STRTAB: names = (void *)one->d_un.d_ptr; break;
        }
    }
    allocations_table(map, calls, calls_size, symbols, names);
    allocations_table(map, others, others_size, symbols, names);
}

/* The operation: of the allocations from now on the nth fails. */
void fail_malloc(int nth)
{
    allocations_left = nth;
}
