// Runs a command that sees one file through a file system which is slow, and which a waiting reader
// can interrupt: as network file systems are.
//
//     slow_fuse FILE FOLDER COMMAND [ARGUMENT...]
//
// The file is FOLDER/program, for the command and all that comes from it alone. Each read of it is
// answered after a moment, or with EINTR as soon as the reader is interrupted. On standard error it
// says INTERRUPTED for each of those. Whoever looks for FOLDER/stuck waits until he is killed; the file
// that the environment variable STUCK names is made as soon as somebody does.
//
// Sources: fuse(4), include/uapi/linux/fuse.h, mount_namespaces(7).

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/fuse.h>
#include <unistd.h>

#define DELAY_MS 50
#define FILE_ID 2
#define MOST_BYTES (1 << 17)
#define NAME "program"
#define STUCK_NAME "stuck"
#define EXIT_NO_FUSE 77

static int device;
static int file;
static struct stat file_state;
static unsigned long long stuck;

static int failed(const char *what) {
    perror(what);
    return EXIT_NO_FUSE;
}

// ---------------------------------------------------------------------------------------------
// Requests and answers

static void answer(unsigned long long request, int error, const void *data, size_t bytes) {
    struct fuse_out_header header = {sizeof header + bytes, -error, request};
    struct iovec parts[] = {{&header, sizeof header}, {(void *)data, bytes}};
    // The reader may have been killed: then there is nobody to answer.
    if (writev(device, parts, 2) < 0 && errno != ENOENT)
        perror("an answer");
}

static struct fuse_attr attributes(unsigned long long id) {
    struct fuse_attr attributes = {.ino = id, .mode = S_IFDIR | 0755, .nlink = 1};
    if (id == FILE_ID) {
        attributes.mode = S_IFREG | 0755;
        attributes.size = file_state.st_size;
        attributes.blocks = file_state.st_blocks;
    }
    return attributes;
}

static void init(const struct fuse_in_header *request) {
    struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = FUSE_KERNEL_MINOR_VERSION,
        .max_readahead = MOST_BYTES,
        .max_write = MOST_BYTES,
    };
    answer(request->unique, 0, &out, sizeof out);
}

static void look_up(const struct fuse_in_header *request, const char *name) {
    if (strcmp(name, STUCK_NAME) == 0 && getenv("STUCK") != NULL) {
        stuck = request->unique;
        close(open(getenv("STUCK"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        return;
    }
    struct fuse_entry_out out = {.nodeid = FILE_ID, .attr = attributes(FILE_ID)};
    int is_there = strcmp(name, NAME) == 0;
    answer(request->unique, is_there ? 0 : ENOENT, &out, is_there ? sizeof out : 0);
}

static void read_file(const struct fuse_in_header *request, const struct fuse_read_in *in) {
    static char bytes[MOST_BYTES];
    size_t most = in->size < sizeof bytes ? in->size : sizeof bytes;
    ssize_t length = pread(file, bytes, most, in->offset);
    answer(request->unique, length < 0 ? errno : 0, bytes, length < 0 ? 0 : length);
}

static void serve(const char *buffer);

// Whether the reader was interrupted before its time was up. Others are served meanwhile.
static int is_interrupted(unsigned long long reader) {
    static char buffer[2 * MOST_BYTES];
    struct pollfd requests = {device, POLLIN, 0};
    while (poll(&requests, 1, DELAY_MS) > 0) {
        if (read(device, buffer, sizeof buffer) < 0)
            return 0;
        const struct fuse_in_header *request = (const void *)buffer;
        const struct fuse_interrupt_in *interrupt = (const void *)(request + 1);
        if (request->opcode == FUSE_READ)
            read_file(request, (const void *)(request + 1));
        else if (request->opcode != FUSE_INTERRUPT)
            serve(buffer);
        else if (interrupt->unique == reader)
            return 1;
    }
    return 0;
}

static void serve(const char *buffer) {
    const struct fuse_in_header *request = (const void *)buffer;
    const void *in = request + 1;
    switch (request->opcode) {
    case FUSE_INIT:
        return init(request);
    case FUSE_LOOKUP:
        return look_up(request, in);
    case FUSE_GETATTR: {
        struct fuse_attr_out out = {.attr = attributes(request->nodeid)};
        return answer(request->unique, 0, &out, sizeof out);
    }
    case FUSE_OPEN: {
        struct fuse_open_out out = {0};
        return answer(request->unique, 0, &out, sizeof out);
    }
    case FUSE_READ: {
        const struct fuse_in_header reader = *request;
        const struct fuse_read_in what = *(const struct fuse_read_in *)in;
        if (!is_interrupted(reader.unique))
            return read_file(&reader, &what);
        fprintf(stderr, "INTERRUPTED\n");
        return answer(reader.unique, EINTR, NULL, 0);
    }
    case FUSE_FLUSH:
    case FUSE_RELEASE:
        return answer(request->unique, 0, NULL, 0);
    case FUSE_INTERRUPT: {
        const struct fuse_interrupt_in *interrupt = in;
        if (interrupt->unique == stuck)
            answer(stuck, EINTR, NULL, 0);
        return;
    }
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
        return; // No answer is expected.
    default:
        return answer(request->unique, ENOSYS, NULL, 0);
    }
}

// Until the file system is gone, with the last process that sees it.
static int serve_all(void) {
    static char buffer[2 * MOST_BYTES];
    for (;;) {
        if (read(device, buffer, sizeof buffer) > 0)
            serve(buffer);
        else if (errno != EINTR && errno != ENOENT && errno != EAGAIN)
            return 0;
    }
}

// ---------------------------------------------------------------------------------------------

// No child of the command's, which may wait for all that it has. It serves once something can be read
// from the pipe `is_mounted`, or ends when that is closed.
static int start_server(const int *is_mounted) {
    char byte;
    pid_t child = fork();
    if (child == 0) {
        close(is_mounted[1]);
        if (fork() == 0)
            _exit(read(is_mounted[0], &byte, 1) == 1 ? serve_all() : 1);
        _exit(0);
    }
    return child < 0 || waitpid(child, NULL, 0) != child;
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    file = open(argv[1], O_RDONLY | O_CLOEXEC);
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    int is_mounted[2];
    if (file < 0 || device < 0 || fstat(file, &file_state) < 0 || pipe2(is_mounted, O_CLOEXEC) < 0)
        return failed("open");
    // Where it does not see the file system: that is gone with the last process that does.
    if (start_server(is_mounted) != 0)
        return failed("fork");
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return failed("unshare");
    char options[96];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
    if (mount("slow", argv[2], "fuse.slow", 0, options) < 0)
        return failed("mount");
    if (write(is_mounted[1], "", 1) != 1)
        return failed("write");
    execvp(argv[3], argv + 3);
    return failed("execvp");
}
