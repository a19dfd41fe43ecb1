/* The program of the sample image: small enough to read, and it needs nothing but the kernel.
 *
 * Three programs in one, told apart by the name they are called by:
 *   cat FILE...   writes the files
 *   ls [PATH...]  lists directories, sorted by bytes, without names that begin with a dot
 *   show          (or any other name) writes /hello.txt and lists /data: what each layer brings
 *
 * Linux on x86-64 and arm64, no C library. build.sh makes it; its output is committed, and a test
 * builds it again and compares the bytes.
 */

typedef unsigned long size;

#define AT_FDCWD (-100)
#define O_RDONLY 0
#define O_PATH 010000000
#define ENOENT 2
#define EINTR 4
#define EACCES 13
#define ENOTDIR 20
#define EISDIR 21
#define ELOOP 40

#define MAX_NAMES 4096
#define NAME_BYTES (256 * 1024)

#if defined(__x86_64__)
enum { SYS_read = 0, SYS_write = 1, SYS_close = 3, SYS_exit = 60, SYS_getdents64 = 217, SYS_openat = 257 };
#define O_DIRECTORY 0200000

static long call(long number, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

/* The kernel leaves argc and argv on the stack, and no return address. */
__asm__(".globl _start\n"
        "_start:\n"
        "  xor %ebp, %ebp\n"
        "  mov %rsp, %rdi\n"
        "  and $-16, %rsp\n"
        "  call start\n");
#elif defined(__aarch64__)
enum { SYS_openat = 56, SYS_close = 57, SYS_getdents64 = 61, SYS_read = 63, SYS_write = 64, SYS_exit = 93 };
#define O_DIRECTORY 040000

static long call(long number, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}

__asm__(".globl _start\n"
        "_start:\n"
        "  mov x29, xzr\n"
        "  mov x30, xzr\n"
        "  mov x0, sp\n"
        "  bl start\n");
#else
#error "x86-64 or arm64"
#endif

struct entry {
    unsigned long inode;
    long offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* Not on the stack: a container may well run with a small one. */
static char buffer[32 * 1024] __attribute__((aligned(8)));
static char name_bytes[NAME_BYTES];
static char *names[MAX_NAMES];

static size length_of(const char *text) {
    size length = 0;
    while (text[length]) {
        /* Without this the compiler makes the loop a call of strlen, which is not here. */
        __asm__ volatile("");
        length++;
    }
    return length;
}

static int compare(const char *a, const char *b) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

static int write_all(int to, const char *bytes, size length) {
    while (length) {
        long wrote = call(SYS_write, to, (long)bytes, (long)length, 0);
        if (wrote == -EINTR)
            continue;
        if (wrote <= 0)
            return -1;
        bytes += wrote;
        length -= (size)wrote;
    }
    return 0;
}

static int put(int to, const char *text) {
    return write_all(to, text, length_of(text));
}

static const char *reason(long error) {
    switch (-error) {
    case ENOENT:
        return "No such file or directory";
    case EACCES:
        return "Permission denied";
    case ENOTDIR:
        return "Not a directory";
    case EISDIR:
        return "Is a directory";
    case ELOOP:
        return "Too many levels of symbolic links";
    default:
        return "Input/output error";
    }
}

static int complain(const char *before, const char *path, const char *after, long error) {
    put(2, before);
    put(2, path);
    put(2, after);
    put(2, reason(error));
    put(2, "\n");
    return 1;
}

static long open_path(const char *path, int flags) {
    return call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | flags, 0);
}

/* Writes a file; a negative result is the kernel's error. */
static long copy_file(const char *path) {
    long file = open_path(path, 0);
    if (file < 0)
        return file;
    long got;
    while ((got = call(SYS_read, file, (long)buffer, sizeof buffer, 0)) > 0 || got == -EINTR) {
        if (got > 0 && write_all(1, buffer, (size)got) < 0)
            call(SYS_exit, 1, 0, 0, 0);
    }
    call(SYS_close, file, 0, 0, 0);
    return got;
}

/* Puts a name among those before it, all sorted: simple, and fast enough for a directory to look at. */
static void insert(int count, char *name) {
    int at = count;
    while (at > 0 && compare(names[at - 1], name) > 0) {
        names[at] = names[at - 1];
        at--;
    }
    names[at] = name;
}

/* Fills `names` from a directory and returns how many there are, or the kernel's error. */
static long read_names(const char *path) {
    long directory = open_path(path, O_DIRECTORY);
    if (directory < 0)
        return directory;
    long got;
    int count = 0;
    size used = 0;
    while ((got = call(SYS_getdents64, directory, (long)buffer, sizeof buffer, 0)) > 0) {
        for (long at = 0; at < got;) {
            struct entry *entry = (struct entry *)(buffer + at);
            at += entry->length;
            size length = length_of(entry->name) + 1;
            if (entry->name[0] == '.')
                continue;
            if (count == MAX_NAMES || used + length > NAME_BYTES) {
                put(2, "too many names\n");
                call(SYS_exit, 1, 0, 0, 0);
            }
            char *name = name_bytes + used;
            for (size i = 0; i < length; i++)
                name[i] = entry->name[i];
            used += length;
            insert(count++, name);
        }
    }
    call(SYS_close, directory, 0, 0, 0);
    return got < 0 ? got : count;
}

static void print_names(const char *indent, long count) {
    for (long i = 0; i < count; i++) {
        put(1, indent);
        put(1, names[i]);
        put(1, "\n");
    }
}

static int cat(char **files) {
    int status = 0;
    for (; *files; files++) {
        long error = copy_file(*files);
        if (error < 0)
            status = complain("cat: ", *files, ": ", error);
    }
    return status;
}

static int list_directory(const char *path) {
    long count = read_names(path);
    if (count < 0) {
        complain("ls: cannot open directory '", path, "': ", count);
        return 2;
    }
    print_names("", count);
    return 0;
}

/* What a path is, found by opening it, which needs no struct whose shape differs between platforms. */
enum kind { DIRECTORY, OTHER, ABSENT };

static enum kind kind_of(const char *path, long *error) {
    *error = open_path(path, O_PATH | O_DIRECTORY);
    enum kind kind = DIRECTORY;
    if (*error == -ENOTDIR) {
        *error = open_path(path, O_PATH);
        kind = OTHER;
    }
    if (*error < 0)
        return ABSENT;
    call(SYS_close, *error, 0, 0, 0);
    return kind;
}

/* As the usual one does: first the errors and the files, then the directories, titled if there
 * is more than one path. */
static int ls(char **paths) {
    static char *here[] = {".", 0};
    if (!*paths)
        paths = here;
    int status = 0, printed = 0, titled = paths[1] != 0;
    long error;
    for (char **path = paths; *path; path++) {
        enum kind kind = kind_of(*path, &error);
        if (kind == ABSENT) {
            complain("ls: cannot access '", *path, "': ", error);
            status = 2;
        } else if (kind == OTHER) {
            put(1, *path);
            put(1, "\n");
            printed = 1;
        }
    }
    for (char **path = paths; *path; path++) {
        if (kind_of(*path, &error) != DIRECTORY)
            continue;
        if (printed)
            put(1, "\n");
        if (titled) {
            put(1, *path);
            put(1, ":\n");
        }
        status |= list_directory(*path);
        printed = 1;
    }
    return status;
}

static int show(void) {
    long error = copy_file("/hello.txt");
    if (error < 0)
        return complain("show: cannot read ", "/hello.txt", ": ", error);
    put(1, "/data:\n");
    long count = read_names("/data");
    /* No directory is what it looks like before the layer that makes it: nothing in it. */
    if (count < 0 && count != -ENOENT)
        return complain("show: cannot list ", "/data", ": ", count);
    if (count <= 0)
        put(1, "  (empty)\n");
    else
        print_names("  ", count);
    return 0;
}

static int is_called(const char *path, const char *name) {
    const char *base = path;
    for (; *path; path++) {
        if (*path == '/')
            base = path + 1;
    }
    return compare(base, name) == 0;
}

__attribute__((used, noreturn)) static void start(long *stack) {
    char **arguments = (char **)(stack + 1);
    int status;
    if (!arguments[0])
        status = show();
    else if (is_called(arguments[0], "cat"))
        status = cat(arguments + 1);
    else if (is_called(arguments[0], "ls"))
        status = ls(arguments + 1);
    else
        status = show();
    for (;;)
        call(SYS_exit, status, 0, 0, 0);
}
