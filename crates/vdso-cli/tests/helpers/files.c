// Sets the times of a file in every way that there is, reads them in every way, and compares. Its argument is by how many
// nanoseconds a time that was set may be read later: none, if the clock is not faster than the host's. Ends with 0 if all is
// as it has to be, else with the line of what is not.
//
// Everything is done several times, as call sites that report often are rewritten.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#define FILE_NAME "file"
#define CHECK(what)                                                                  \
	do {                                                                         \
		if (!(what)) {                                                       \
			fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #what, errno); \
			exit(1);                                                     \
		}                                                                    \
	} while (0)

typedef int64_t ns;

// No clock that the kernel stores times by is further behind.
#define TICK 10000000000

struct times {
	ns access, change, status;
};

static ns of(struct timespec time) { return (ns)time.tv_sec * 1000000000 + time.tv_nsec; }

static struct timespec to(ns time)
{
	ns sec = time / 1000000000, nsec = time % 1000000000;
	if (nsec < 0)
		return (struct timespec){sec - 1, nsec + 1000000000};
	return (struct timespec){sec, nsec};
}

static ns now(clockid_t id)
{
	struct timespec time;
	CHECK(clock_gettime(id, &time) == 0);
	return of(time);
}

enum { READERS = 8 };

static struct times read_by(int reader, int fd)
{
	struct stat st;
	struct statx stx;
	int result = -1;
	switch (reader) {
	case 0: result = syscall(SYS_stat, FILE_NAME, &st); break;
	case 1: result = syscall(SYS_lstat, FILE_NAME, &st); break;
	case 2: result = syscall(SYS_fstat, fd, &st); break;
	case 3: result = syscall(SYS_newfstatat, AT_FDCWD, FILE_NAME, &st, 0); break;
	case 4: result = syscall(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH); break;
	case 5: result = stat(FILE_NAME, &st); break;
	case 6: result = fstat(fd, &st); break;
	case 7:
		CHECK(statx(AT_FDCWD, FILE_NAME, 0, STATX_BASIC_STATS | STATX_BTIME, &stx) == 0);
		return (struct times){
			of((struct timespec){stx.stx_atime.tv_sec, stx.stx_atime.tv_nsec}),
			of((struct timespec){stx.stx_mtime.tv_sec, stx.stx_mtime.tv_nsec}),
			of((struct timespec){stx.stx_ctime.tv_sec, stx.stx_ctime.tv_nsec}),
		};
	}
	CHECK(result == 0);
	return (struct times){of(st.st_atim), of(st.st_mtim), of(st.st_ctim)};
}

enum { WRITERS = 6 };

// Gives which units it has, in nanoseconds.
static ns set_by(int writer, int fd, ns access, ns change)
{
	struct timespec times[2] = {to(access), to(change)};
	struct timeval micros[2] = {{times[0].tv_sec, times[0].tv_nsec / 1000},
				    {times[1].tv_sec, times[1].tv_nsec / 1000}};
	struct utimbuf seconds = {times[0].tv_sec, times[1].tv_sec};
	switch (writer) {
	case 0: CHECK(syscall(SYS_utimensat, AT_FDCWD, FILE_NAME, times, 0) == 0); return 1;
	case 1: CHECK(futimens(fd, times) == 0); return 1;
	case 2: CHECK(syscall(SYS_utimes, FILE_NAME, micros) == 0); return 1000;
	case 3: CHECK(syscall(SYS_futimesat, AT_FDCWD, FILE_NAME, micros) == 0); return 1000;
	case 4: CHECK(syscall(SYS_futimesat, fd, NULL, micros) == 0); return 1000;
	default: CHECK(syscall(SYS_utime, FILE_NAME, &seconds) == 0); return 1000000000;
	}
}

static ns rounded(ns time, ns unit)
{
	ns rest = time % unit;
	return time - (rest < 0 ? rest + unit : rest);
}

static void what_is_set_is_read(int fd, ns later)
{
	// Before the clock began; now; and ahead of it.
	ns begin = now(CLOCK_REALTIME);
	ns tried[] = {86400000000005, 1234567890123456789, begin - 1, begin, begin + 86400000000001};
	for (unsigned i = 0; i < sizeof tried / sizeof *tried; i++) {
		for (int writer = 0; writer < WRITERS; writer++) {
			ns access = tried[i], change = tried[i] + 1999999999;
			ns unit = set_by(writer, fd, access, change);
			access = rounded(access, unit);
			change = rounded(change, unit);
			for (int reader = 0; reader < READERS; reader++) {
				struct times got = read_by(reader, fd);
				CHECK(got.access >= access && got.access <= access + later);
				CHECK(got.change >= change && got.change <= change + later);
				// Which the kernel sets.
				CHECK(got.status >= begin - TICK * (later + 1));
				CHECK(got.status <= now(CLOCK_REALTIME));
			}
		}
	}
}

static void now_is_now(int fd, ns later)
{
	struct timespec now_and_omit[2] = {{7, UTIME_NOW}, {7, UTIME_OMIT}};
	const ns old = 1000000000000000001;
	for (int way = 0; way < 6; way++) {
		set_by(0, fd, old, old);
		ns before = now(CLOCK_REALTIME) - TICK * (later + 1);
		switch (way) {
		case 0: CHECK(syscall(SYS_utimensat, AT_FDCWD, FILE_NAME, NULL, 0) == 0); break;
		case 1: CHECK(syscall(SYS_utimes, FILE_NAME, NULL) == 0); break;
		case 2: CHECK(syscall(SYS_utime, FILE_NAME, NULL) == 0); break;
		case 3: CHECK(syscall(SYS_futimesat, AT_FDCWD, FILE_NAME, NULL) == 0); break;
		case 4: CHECK(utimensat(AT_FDCWD, FILE_NAME, now_and_omit, 0) == 0); break;
		case 5: CHECK(pwrite(fd, "x", 1, 0) == 1); break;
		}
		for (int reader = 0; reader < READERS; reader++) {
			struct times got = read_by(reader, fd);
			ns after = now(CLOCK_REALTIME);
			CHECK(way == 5 || (got.access >= before && got.access <= after));
			if (way == 4)
				CHECK(got.change >= old && got.change <= old + later);
			else
				CHECK(got.change >= before && got.change <= after);
		}
	}
}

// What the kernel refuses, it refuses.
static void mistakes(int fd)
{
	void *const nowhere = (void *)8;
	struct timespec bad[2] = {{0, 1000000000}, {0, 0}};
	struct timeval bad_micros[2] = {{0, 0}, {0, 1000000}};
	struct timespec good[2] = {{1, 1}, {1, 1}};
	struct stat st;
#define FAILS(call, error)               \
	do {                             \
		errno = 0;               \
		CHECK((call) == -1);     \
		CHECK(errno == (error)); \
	} while (0)
	FAILS(syscall(SYS_stat, FILE_NAME, nowhere), EFAULT);
	FAILS(syscall(SYS_lstat, FILE_NAME, NULL), EFAULT);
	FAILS(syscall(SYS_fstat, fd, nowhere), EFAULT);
	FAILS(syscall(SYS_newfstatat, AT_FDCWD, FILE_NAME, nowhere, 0), EFAULT);
	FAILS(syscall(SYS_newfstatat, AT_FDCWD, nowhere, &st, 0), EFAULT);
	FAILS(syscall(SYS_newfstatat, AT_FDCWD, "none", &st, 0), ENOENT);
	FAILS(syscall(SYS_fstat, 1000, &st), EBADF);
	FAILS(syscall(SYS_statx, AT_FDCWD, FILE_NAME, 0, STATX_BASIC_STATS, nowhere), EFAULT);
	FAILS(syscall(SYS_utimensat, AT_FDCWD, FILE_NAME, nowhere, 0), EFAULT);
	FAILS(syscall(SYS_utimensat, AT_FDCWD, FILE_NAME, bad, 0), EINVAL);
	FAILS(syscall(SYS_utimensat, AT_FDCWD, "none", good, 0), ENOENT);
	FAILS(syscall(SYS_utimensat, AT_FDCWD, FILE_NAME, good, 1 << 30), EINVAL);
	FAILS(syscall(SYS_utimes, FILE_NAME, nowhere), EFAULT);
	FAILS(syscall(SYS_utimes, FILE_NAME, bad_micros), EINVAL);
	FAILS(syscall(SYS_utimes, NULL, good), EFAULT);
	FAILS(syscall(SYS_utime, FILE_NAME, nowhere), EFAULT);
	FAILS(syscall(SYS_futimesat, AT_FDCWD, FILE_NAME, nowhere), EFAULT);
}

int main(int argc, char **argv)
{
	ns later = argc > 1 ? atoll(argv[1]) : 0;
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0);
	for (int round = 0; round < 6; round++) {
		what_is_set_is_read(fd, later);
		now_is_now(fd, later);
		mistakes(fd);
	}
	return 0;
}
