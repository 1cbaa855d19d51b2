/* Makes each flush to the disk take longer, by the nanoseconds in FLUSH_DELAY_NS: what a program would do on a slower
   disk, measured on this one. Loaded with LD_PRELOAD; the wait costs no processor time, as a disk's does not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

static void wait_for_disk(void) {
    static long delay = -1;
    static _Thread_local int exact = 0;
    if (delay < 0) {
        const char *asked = getenv("FLUSH_DELAY_NS");
        delay = asked ? atol(asked) : 0;
    }
    if (!exact) { /* without it the kernel adds 0.05 ms to every wait */
        prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
        exact = 1;
    }
    if (delay > 0) {
        struct timespec left = {delay / 1000000000L, delay % 1000000000L};
        nanosleep(&left, NULL);
    }
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_for_disk();
    return real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_for_disk();
    return real(fd);
}
