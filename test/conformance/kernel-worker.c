// Runs one history of memory operations on the running kernel. Reads the operations from standard input, one a line, and
// writes a row of counters, as JSON, after every scan, run and knob and after whatever failed. The first process only
// coordinates: each process of the history is one of its own, told what to do through a pipe. Whoever starts this program
// holds ksmd (sleep_millisecs long, run 0) and puts the knobs back.
//
// Exactness: ksmd drains the processors' LRU batches at the start of each full scan, this program before every batch and before
// reclaim (see drain_lru_batches), and nothing but ksmd runs during a batch, so no page has a stray reference when it is to
// be merged.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define REGION_BASE (1ul << 36)
#define REGION_STRIDE (1ul << 28)
#define MAX_PROCESSES 200
#define MAX_ARGS 8
#define MAX_PINS 64
#define FIRST_FD 100
#define MPOL_MF_MOVE 2
#define PR_SET_MEMORY_MERGE 67

#define WHOLE_SCAN (1l << 30)
#define SCAN_TIMEOUT_S 20
#define NUDGE_S 1.0
#define TOO_FAST 4
/* What it exits with when somebody else has changed a knob during a batch. */
#define NOT_ALONE 5

enum op {
  SPAWN, MAP, MERGEABLE, UNMERGEABLE, DONTNEED, UNMAP, WRITE, POKE, READ, MPROTECT, MREMAP, PIN, DMA_PIN, UNPIN,
  PAGEOUT, MERGE_ANY, RESIZE, MOVE_RESIZE, LOCK, UNLOCK, FREE, POPULATE, FORK, EXEC, EXIT, KNOB, RUN, SCAN, BATCH,
  OP_COUNT
};

static const char *const OP_NAMES[OP_COUNT] = {
  "spawn", "map", "mergeable", "unmergeable", "dontneed", "unmap", "write", "poke", "read", "mprotect", "mremap", "pin",
  "dma_pin", "unpin", "pageout", "merge_any", "resize", "move_resize", "lock", "unlock", "free", "populate", "fork", "exec",
  "exit", "knob", "run", "scan", "batch",
};

struct command { int op; int args[MAX_ARGS]; };
struct answer { int error; int pid; };

// ---- what a process of the history does

enum end { COMMAND_READ, COMMAND_WRITE, ANSWER_READ, ANSWER_WRITE };

// Descriptors have fixed numbers, so that a process knows them after exec too.
static int fd_of(int process, enum end end) { return FIRST_FD + 4 * process + end; }

static char *address_of(int region, int page) {
  return (char *)(REGION_BASE + region * REGION_STRIDE + page * PAGE);
}

// Pages somebody outside holds a reference on: a pipe that has them spliced in, or an io_uring's fixed buffer.
static struct pin { int region, page, fd, other_end; } pins[MAX_PINS];
static int pin_count;
static int merge_any;

static sigjmp_buf refused;
static volatile sig_atomic_t touching;

static void on_fault(int signal) {
  if (!touching) _exit(128 + signal);
  touching = 0;
  siglongjmp(refused, 1);
}

static int touch(const struct command *command) {
  const int *a = command->args;
  char *page = address_of(a[1], a[2]);
  if (sigsetjmp(refused, 1)) return EFAULT;
  touching = 1;
  if (command->op == READ) {
    (void)*(volatile char *)page;
  } else if (command->op == POKE) {
    page[a[3]] = (char)a[4];
  } else {
    volatile uint32_t *words = (volatile uint32_t *)page;
    for (unsigned i = 0; i < PAGE / 4 - 1; i++) words[i] = a[3];
    words[PAGE / 4 - 1] = a[3] * 2654435761u;
  }
  touching = 0;
  return 0;
}

static int pin_in_pipe(char *page, struct pin *pin) {
  int ends[2];
  struct iovec range = { page, PAGE };
  if (pipe2(ends, O_CLOEXEC) < 0) return errno;
  if (vmsplice(ends[1], &range, 1, 0) != (ssize_t)PAGE) {
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    return error;
  }
  pin->fd = ends[0];
  pin->other_end = ends[1];
  return 0;
}

static int pin_in_ring(char *page, struct pin *pin) {
  struct io_uring_params params = { 0 };
  struct iovec range = { page, PAGE };
  int ring = syscall(SYS_io_uring_setup, 1, &params);
  if (ring < 0) return errno;
  fcntl(ring, F_SETFD, FD_CLOEXEC);
  if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &range, 1) < 0) {
    int error = errno;
    close(ring);
    return error;
  }
  pin->fd = ring;
  pin->other_end = -1;
  return 0;
}

static int take_pin(int op, int region, int page) {
  if (pin_count == MAX_PINS) return EMFILE;
  struct pin *pin = &pins[pin_count];
  int error = op == PIN ? pin_in_pipe(address_of(region, page), pin) : pin_in_ring(address_of(region, page), pin);
  if (error) return error;
  pin->region = region;
  pin->page = page;
  pin_count++;
  return 0;
}

static void close_pin(const struct pin *pin) {
  close(pin->fd);
  if (pin->other_end >= 0) close(pin->other_end);
}

static void release_pin(const struct pin *pin) {
  // Closing a ring lets its buffers go some time later; unregistering does it now.
  if (pin->other_end < 0) syscall(SYS_io_uring_register, pin->fd, IORING_UNREGISTER_BUFFERS, 0, 0);
  close_pin(pin);
}

static void release_pins(int region, int page) {
  int kept = 0;
  for (int i = 0; i < pin_count; i++) {
    if (region < 0 || (pins[i].region == region && pins[i].page == page)) release_pin(&pins[i]);
    else pins[kept++] = pins[i];
  }
  pin_count = kept;
}

// A page in some processor's LRU batch cannot be isolated, or not be freed. Linux drains all batches before it migrates
// pages, even if, as here, there is nothing to move.
static void drain_lru_batches(void) {
  char own;
  void *page = (void *)((uintptr_t)&own & ~(PAGE - 1));
  int node = 0, status;
  syscall(SYS_move_pages, 0, 1ul, &page, &node, &status, MPOL_MF_MOVE);
}

// PR_SET_MEMORY_MERGE means this program's own memory too. Only that of the history is to be merged.
static void make_own_memory_unmergeable(void) {
  static char maps[1 << 16];
  int fd = open("/proc/self/maps", O_RDONLY);
  size_t length = 0;
  for (ssize_t got; (got = read(fd, maps + length, sizeof maps - 1 - length)) > 0;) length += got;
  close(fd);
  maps[length] = 0;
  for (char *line = maps; line != NULL && *line != 0; line = strchr(line, '\n'), line += line != NULL) {
    char *dash;
    unsigned long start = strtoul(line, &dash, 16), end = strtoul(dash + 1, NULL, 16);
    int of_history = start >= REGION_BASE && start < REGION_BASE + 1024 * REGION_STRIDE;
    if (!of_history) madvise((void *)start, end - start, MADV_UNMERGEABLE);
  }
}

static int set_merge_any(int value) {
  if (prctl(PR_SET_MEMORY_MERGE, value, 0, 0, 0) < 0) return errno;
  merge_any = value;
  if (value) make_own_memory_unmergeable();
  return 0;
}

static int failed(int result) { return result < 0 ? errno : 0; }

static int perform(const struct command *command) {
  const int *a = command->args;
  char *start = address_of(a[1], a[2]);
  size_t length = a[3] * PAGE;
  switch (command->op) {
    case MAP: {
      const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
      char *at = mmap(address_of(a[1], 0), a[2] * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
      return at == MAP_FAILED ? errno : 0;
    }
    case MERGEABLE: return failed(madvise(start, length, MADV_MERGEABLE));
    case UNMERGEABLE: return failed(madvise(start, length, MADV_UNMERGEABLE));
    case DONTNEED: return failed(madvise(start, length, MADV_DONTNEED));
    case UNMAP: return failed(munmap(start, length));
    case WRITE: case POKE: case READ: return touch(command);
    case MPROTECT: return failed(mprotect(start, length, a[4]));
    case MREMAP: {
      char *moved = mremap(start, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, address_of(a[4], a[5]));
      return moved == MAP_FAILED ? errno : 0;
    }
    case RESIZE: {
      char *resized = mremap(start, length, a[4] * PAGE, 0);
      return resized == MAP_FAILED ? errno : 0;
    }
    case MOVE_RESIZE: {
      char *moved = mremap(start, length, a[4] * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, address_of(a[5], a[6]));
      return moved == MAP_FAILED ? errno : 0;
    }
    case LOCK: return failed(mlock(start, length));
    case UNLOCK: return failed(munlock(start, length));
    case FREE: return failed(madvise(start, length, MADV_FREE));
    case POPULATE: return failed(madvise(start, length, a[4] ? MADV_POPULATE_WRITE : MADV_POPULATE_READ));
    case PIN: case DMA_PIN: return take_pin(command->op, a[1], a[2]);
    case UNPIN: release_pins(a[1], a[2]); return 0;
    case PAGEOUT: drain_lru_batches(); return failed(madvise(start, length, MADV_PAGEOUT));
    case MERGE_ANY: return set_merge_any(a[1]);
  }
  return ENOSYS;
}

static void reply(int process, int error) {
  struct answer answer = { error, getpid() };
  if (write(fd_of(process, ANSWER_WRITE), &answer, sizeof answer) != sizeof answer) _exit(1);
}

static void exec_again(int process) {
  char name[12], merge[2] = { '0' + merge_any, 0 };
  snprintf(name, sizeof name, "%d", process);
  release_pins(-1, 0);
  execl("/proc/self/exe", "kernel-worker", name, merge, NULL);
  reply(process, errno);
}

static void be_process(int process) {
  struct sigaction action = { .sa_handler = on_fault };
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  struct command command;
  while (read(fd_of(process, COMMAND_READ), &command, sizeof command) == sizeof command) {
    if (command.op == EXIT) {
      release_pins(-1, 0);
      _exit(0);
    }
    if (command.op == EXEC) {
      exec_again(process);
      continue;
    }
    if (command.op != FORK) {
      reply(process, perform(&command));
      continue;
    }
    pid_t pid = fork();
    if (pid == 0) {
      process = command.args[1];
      // The pins stay the parent's.
      for (int i = 0; i < pin_count; i++) close_pin(&pins[i]);
      pin_count = 0;
    }
    reply(process, pid < 0 ? errno : 0);
  }
  _exit(0);
}

// ---- the coordinator

static const char *const COUNTERS[] = {
  "pages_shared", "pages_sharing", "pages_unshared", "pages_volatile", "ksm_zero_pages", "pages_scanned", "pages_skipped",
  "stable_node_chains", "stable_node_dups", "general_profit", "full_scans",
};
#define COUNTER_COUNT (sizeof COUNTERS / sizeof *COUNTERS)

static int pids[MAX_PROCESSES], exits[MAX_PROCESSES];
/* Linux resets neither pages_scanned nor pages_skipped, and some kernels have lost count of ksm_zero_pages. */
static long scanned_before, skipped_before, zero_before;
/* Where tracefs has an instance of its own for this history; NULL if nobody asked. */
static const char *tracing;

static void give_up(const char *what) {
  fprintf(stderr, "kernel-worker: %s: %s\n", what, strerror(errno));
  exit(3);
}

static int open_knob(const char *name, int flags) {
  char path[256];
  const char *sysfs = getenv("PAGEFOLD_KSM");
  snprintf(path, sizeof path, "%s/%s", sysfs ? sysfs : "/sys/kernel/mm/ksm", name);
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0) give_up(path);
  return fd;
}

static long counter(const char *name) {
  char text[32] = { 0 };
  int fd = open_knob(name, O_RDONLY);
  if (read(fd, text, sizeof text - 1) <= 0) give_up(name);
  close(fd);
  return strtol(text, NULL, 10);
}

static int set_knob(const char *name, long value) {
  char text[32];
  int fd = open_knob(name, O_WRONLY);
  int error = failed(write(fd, text, snprintf(text, sizeof text, "%ld", value)));
  close(fd);
  return error;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void expect_ours(const char *name, long value) {
  const long found = counter(name);
  if (found == value) return;
  fprintf(stderr, "%s is %ld, and was set to %ld\n", name, found, value);
  exit(NOT_ALONE);
}

// One batch of ksmd: `pages` pages, or to the end of the full scan if that comes first. A change of sleep_millisecs ends
// ksmd's sleep. While run is 0 it scans nothing, so this starts one batch and not two.
static void batch(long pages) {
  const long scans = counter("full_scans"), scanned = counter("pages_scanned");
  const double start = now();
  double nudged = start;
  set_knob("pages_to_scan", pages);
  set_knob("sleep_millisecs", counter("sleep_millisecs") ^ 1);
  set_knob("run", 1);
  while (counter("full_scans") == scans && counter("pages_scanned") < scanned + pages) {
    usleep(50);
    expect_ours("run", 1);
    if (now() - start > SCAN_TIMEOUT_S) {
      errno = ETIMEDOUT;
      give_up("no full scan: is any mergeable memory registered?");
    }
    // ksmd may have read the new value before it went to sleep on it.
    if (now() - nudged < NUDGE_S) continue;
    nudged = now();
    set_knob("sleep_millisecs", counter("sleep_millisecs") ^ 1);
  }
  expect_ours("pages_to_scan", pages);
  // Waits for the end of the batch.
  set_knob("run", 0);
  const long more = counter("full_scans") - scans;
  if (more == 0 ? counter("pages_scanned") == scanned + pages : more == 1) return;
  fprintf(stderr, "kernel-worker: ksmd was faster than it should\n");
  exit(TOO_FAST);
}

// Linux: struct ksm_scan's end of a full scan ends the batch too.
static void full_scan(void) { batch(WHOLE_SCAN); }

static void print_stat(int process) {
  char path[64], name[32], value[32];
  snprintf(path, sizeof path, "/proc/%d/ksm_stat", pids[process]);
  FILE *file = fopen(path, "re");
  if (file == NULL) give_up(path);
  const char *separator = "";
  printf("\"%d\":{", process);
  while (fscanf(file, "%31[^: ]%*[: ]%31s\n", name, value) == 2) {
    const char *quote = value[0] == 'y' || value[0] == 'n' ? "\"" : "";
    printf("%s\"%s\":%s%s%s", separator, name, quote, value, quote);
    separator = ",";
  }
  printf("}");
  fclose(file);
}

// What ksmd's tracepoints said since the last row, as the kernel prints it.
static void print_traced(void) {
  char path[256], line[512];
  snprintf(path, sizeof path, "%s/trace", tracing);
  FILE *file = fopen(path, "re");
  if (file == NULL) give_up(path);
  const char *separator = "";
  printf(",\"traced\":[");
  while (fgets(line, sizeof line, file) != NULL) {
    char *event = *line == '#' ? NULL : strstr(line, ": ksm_");
    if (event == NULL) continue;
    event[strcspn(event, "\n")] = 0;
    printf("%s\"%s\"", separator, event + 2);
    separator = ",";
  }
  printf("]");
  fclose(file);
  file = fopen(path, "we");
  if (file == NULL) give_up(path);
  fclose(file);
}

static void print_row(int op, int error) {
  printf("{\"op\":%d,\"error\":", op);
  if (error) printf("\"%s\"", strerrorname_np(error));
  else printf("null");
  for (unsigned i = 0; i < COUNTER_COUNT; i++) {
    long value = counter(COUNTERS[i]);
    if (!strcmp(COUNTERS[i], "pages_scanned")) value -= scanned_before;
    if (!strcmp(COUNTERS[i], "pages_skipped")) value -= skipped_before;
    if (!strcmp(COUNTERS[i], "ksm_zero_pages")) value -= zero_before;
    if (!strcmp(COUNTERS[i], "general_profit")) value -= zero_before * (long)PAGE;
    printf(",\"%s\":%ld", COUNTERS[i], value);
  }
  if (tracing != NULL) print_traced();
  printf(",\"mms\":{");
  int first = 1;
  for (int process = 0; process < MAX_PROCESSES; process++) {
    if (!pids[process]) continue;
    if (!first) printf(",");
    first = 0;
    print_stat(process);
  }
  printf("}}\n");
}

static void tell(int process, const struct command *command) {
  if (write(fd_of(process, COMMAND_WRITE), command, sizeof *command) != sizeof *command) give_up("write to a process");
}

static void watch(int process, int pid) {
  if (pids[process] == pid) return;
  pids[process] = pid;
  exits[process] = syscall(SYS_pidfd_open, pid, 0);
  if (exits[process] < 0) give_up("pidfd_open");
}

static int hear(int process) {
  struct answer answer;
  struct pollfd either[] = { { fd_of(process, ANSWER_READ), POLLIN, 0 }, { exits[process], POLLIN, 0 } };
  poll(either, pids[process] ? 2 : 1, -1);
  if (!(either[0].revents & POLLIN) || read(either[0].fd, &answer, sizeof answer) != sizeof answer) {
    errno = ESRCH;
    give_up("a process of the history died");
  }
  watch(process, answer.pid);
  return answer.error;
}

static void make_pipes(int process) {
  int ends[2];
  for (int i = 0; i < 2; i++) {
    if (pipe(ends) < 0) give_up("pipe");
    for (int j = 0; j < 2; j++) {
      if (dup2(ends[j], fd_of(process, 2 * i + j)) < 0) give_up("dup2");
      close(ends[j]);
    }
  }
}

static void spawn(int process) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) give_up("fork");
  if (pid == 0) {
    // Nobody but the coordinator may hold these: if it dies, every process reads an end of file and exits.
    for (int other = 0; other < MAX_PROCESSES; other++) close(fd_of(other, COMMAND_WRITE));
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    for (int other = 0; other < MAX_PROCESSES; other++) if (pids[other]) close(exits[other]);
    be_process(process);
  }
  watch(process, pid);
}

// Returns when its memory is gone.
static void await_exit(int process) {
  struct pollfd gone = { exits[process], POLLIN, 0 };
  poll(&gone, 1, -1);
  close(exits[process]);
  pids[process] = 0;
}

static void run_line(int index, char *line) {
  struct command command = { OP_COUNT, { 0 } };
  char *word = strtok(line, " \n"), *knob = NULL;
  for (int op = 0; op < OP_COUNT; op++) if (!strcmp(word, OP_NAMES[op])) command.op = op;
  if (command.op == KNOB) knob = strtok(NULL, " \n");
  for (int i = 0; i < MAX_ARGS && (word = strtok(NULL, " \n")) != NULL; i++) command.args[i] = atoi(word);
  const int process = command.args[0];
  int error = 0;
  switch (command.op) {
    case OP_COUNT:
      errno = EINVAL;
      give_up(line);
      break;
    case SPAWN:
      spawn(process);
      break;
    case EXIT:
      tell(process, &command);
      await_exit(process);
      break;
    case BATCH:
      drain_lru_batches();
      batch(command.args[0]);
      break;
    case SCAN:
      drain_lru_batches();
      for (int i = 0; i < command.args[0]; i++) full_scan();
      break;
    case RUN:
      error = set_knob("run", command.args[0]);
      break;
    case KNOB:
      error = set_knob(knob, command.args[0]);
      break;
    case FORK:
      tell(process, &command);
      error = hear(process);
      if (!error) error = hear(command.args[1]);
      break;
    default:
      tell(process, &command);
      error = hear(process);
  }
  if (error || command.op == SCAN || command.op == BATCH || command.op == RUN || command.op == KNOB) print_row(index, error);
  if (command.op == RUN) set_knob("run", 0);
}

// Does reading memory that nobody has written to map the zero page? Then two such pages have the same frame.
static int reads_zero_page(void) {
  volatile char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint64_t entries[2] = { 0 };
  (void)pages[0];
  (void)pages[PAGE];
  int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pread(fd, entries, sizeof entries, (uintptr_t)pages / PAGE * sizeof *entries) != sizeof entries) give_up("pagemap");
  close(fd);
  return entries[0] == entries[1];
}

int main(int argc, char **argv) {
  if (argc == 2) return reads_zero_page() ? 0 : 1;
  if (argc > 2) {
    const int process = atoi(argv[1]);
    merge_any = argv[2][0] - '0';
    if (merge_any) make_own_memory_unmergeable();
    reply(process, 0);
    be_process(process);
  }
  static char line[256];
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  tracing = getenv("PAGEFOLD_TRACING");
  scanned_before = counter("pages_scanned");
  skipped_before = counter("pages_skipped");
  zero_before = counter("ksm_zero_pages");
  for (int process = 0; process < MAX_PROCESSES; process++) make_pipes(process);
  for (int index = 0; fgets(line, sizeof line, stdin) != NULL; index++) run_line(index, line);
  for (int process = 0; process < MAX_PROCESSES; process++) {
    if (!pids[process]) continue;
    tell(process, &(struct command){ EXIT, { process } });
    await_exit(process);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
