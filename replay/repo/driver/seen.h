/* What is observed beside results: exported data, memory behind handles, what is printed. */
/* --- exported data ------------------------------------------------------------------- */

static unsigned char *now[OBJECTS + 1], *known[OBJECTS + 1], *loaded[OBJECTS + 1];
static uint64_t states[OBJECTS + 1], loaded_states[OBJECTS + 1];

/* The leaves of an object; of a pointer only whether it is NULL. */
static uint64_t state(const struct object *o, const unsigned char *raw)
{
    struct trace t = {.hash = o->key};

    for (const struct leaf *l = o->leaves; l < o->leaves + o->count; l++) {
        mix(&t, l->key);
        if (l->pointers)
            for (size_t at = 0; at < l->size; at += 8) {
                uint64_t pointer;

                memcpy(&pointer, raw + l->offset + at, 8);
                mix(&t, pointer != 0);
            }
        else
            mix_bytes(&t, raw + l->offset, l->size);
    }
    return t.hash;
}

static void find_data(void)
{
    for (int i = 0; i < OBJECTS; i++) {
        now[i] = function(objects[i].name);
        if (!now[i])
            continue;
        known[i] = malloc(objects[i].size + 1);
        loaded[i] = malloc(objects[i].size + 1);
        if (!known[i] || !loaded[i])
            _exit(FAILED);
        memcpy(known[i], now[i], objects[i].size);
        memcpy(loaded[i], now[i], objects[i].size);
        states[i] = loaded_states[i] = state(&objects[i], now[i]);
    }
}

static void mix_start(struct trace *t)
{
    for (int i = 0; i < OBJECTS; i++)
        if (now[i]) {
            mix(t, loaded_states[i]);
            /* Without a fork, the trace before may have left something. */
            if (states[i] != loaded_states[i])
                states[i] = loaded_states[i];
            if (!alike(known[i], loaded[i], objects[i].size))
                copy(known[i], loaded[i], objects[i].size);
        }
}

static void mix_data(struct trace *t)
{
    for (int i = 0; i < OBJECTS; i++)
        if (now[i] && objects[i].writable && !alike(now[i], known[i], objects[i].size)) {
            uint64_t is;

            copy(known[i], now[i], objects[i].size);
            is = state(&objects[i], known[i]);
            if (is != states[i])
                mix(t, is);
            states[i] = is;
        }
}

/* --- memory behind handles ------------------------------------------------------------ */

static void mix_behind(struct trace *t)
{
    static int memory = -1;

    for (uint32_t number = 0; BEHINDS && number < t->numbers; number++)
        for (int i = 0; i < BEHINDS; i++)
            if (t->kinds[number] == behinds[i].kind) {
                unsigned char *raw = alloca(behinds[i].size);
                ssize_t size;

                if (memory < 0)
                    memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
                size = pread(memory, raw, behinds[i].size, (off_t)t->handles[number]);
                mix(t, number);
                mix(t, behinds[i].key);
                for (int p = 0; size > 0 && p < behinds[i].count; p++) {
                    uint64_t pointer;

                    memcpy(&pointer, raw + behinds[i].pointers[p], 8);
                    pointer = pointer ? 1 : 0;
                    memcpy(raw + behinds[i].pointers[p], &pointer, 8);
                }
                mix_bytes(t, raw, size > 0 ? (size_t)size : 0);
            }
}

/* --- what is written ----------------------------------------------------------------- */

static void mix_said(struct trace *t)
{
    char part[4096];

    if (unflushed())
        fflush(NULL);
    for (int which = 0; which < 2; which++) {
        struct stat is;
        ssize_t size;

        if (sys(SYS_fstat, said[which], (long)&is, 0, 0) || is.st_size == t->read[which])
            continue;
        mix(t, 10 + (uint64_t)which);
        while ((size = pread(said[which], part, sizeof part, t->read[which])) > 0) {
            mix_bytes(t, part, (size_t)size);
            t->read[which] += size;
        }
        t->read[which] = is.st_size;
    }
}

/* Whether there is anything; the files are emptied. */
static int anything_said(void)
{
    int any = 0;

    for (int which = 0; which < 2; which++) {
        struct stat is;

        if (!sys(SYS_fstat, said[which], (long)&is, 0, 0) && is.st_size) {
            any = 1;
            if (ftruncate(said[which], 0))
                _exit(FAILED);
        }
    }
    return any;
}

/* A file in memory that is only appended to, on a descriptor out of the way. */
static int file_as(const char *name, int number)
{
    int made = (int)syscall(SYS_memfd_create, name, 0);
    int file = fcntl(made, F_DUPFD_CLOEXEC, 200);

    if (made < 0 || file < 0)
        return -1;
    fcntl(file, F_SETFL, O_APPEND | O_RDWR);
    dup2(made, number);
    close(made);
    return file;
}
