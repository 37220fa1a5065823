/* Which places of the library are come by: reach.c, loaded beside it. */
static size_t (*reach_sync)(uint32_t *found);
static size_t (*reach_left)(void);
static void (*reach_hold)(int away);
static void (*reach_forget)(void);
static size_t watched;        /* places */
static int watching;

/* Set the breakpoints; why that fails, behind a "?", or nothing. */
static const char *watch(const char *path, const uint64_t *offsets, size_t number)
{
    static char why[512];
    int (*arm)(void *, const uint64_t *, size_t);
    void *helper;
    int failed;

    if (!number)
        return "";
    helper = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!helper) {
        snprintf(why, sizeof why, "?the helper cannot be loaded: %s", dlerror());
        return why;
    }
    arm = dlsym(helper, "reach_arm");
    reach_sync = dlsym(helper, "reach_sync");
    reach_left = dlsym(helper, "reach_left");
    reach_hold = dlsym(helper, "reach_hold");
    reach_forget = dlsym(helper, "reach_forget");
    if (!arm || !reach_sync || !reach_left || !reach_hold || !reach_forget)
        return "?the helper is not the one of this version";
    failed = arm(library, offsets, number);
    if (failed) {
        snprintf(why, sizeof why, "?breakpoints cannot be set: %s", strerror(failed));
        return why;
    }
    watched = number;
    watching = 1;
    return "";
}
