"""A file system that is watched, or has no locks: a library between a process and the system's own calls."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void note(const char *what, const char *path) {
    const char *file = getenv("WATCH_LOG");
    char line[2 * PATH_MAX];
    if (!file) return;
    int saved = errno, out = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int size = snprintf(line, sizeof line, "%s %s\n", what, path);
    if (out >= 0) { if (write(out, line, size) < 0) {} close(out); }
    errno = saved;
}

int mkdir(const char *path, mode_t mode) {
    int (*real)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
    int made = real(path, mode);
    if (made == 0) note("mkdir", path);
    return made;
}

int fsync(int descriptor) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof path - 1);
    int done = real(descriptor);
    if (size > 0) { path[size] = 0; note("fsync", path); }
    return done;
}

int flock(int descriptor, int operation) {
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    if (getenv("WITHOUT_LOCKS")) { errno = ENOLCK; return -1; }
    return real(descriptor, operation);
}
"""


def library(folder: Path) -> str:
    """Return the path of the compiled library, for LD_PRELOAD; the test skips where no compiler is.

    `WATCH_LOG` names a file that gets a line for each `mkdir` and `fsync`; with `WITHOUT_LOCKS` every `flock` fails as
    on a network file system without a lock service.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: install gcc to watch what a process asks of the file system")
    source, made = folder / "watch.c", folder / "watch.so"
    source.write_text(_SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(made), str(source), "-ldl"], check=True)
    return str(made)
