// The first and only program of a Linux guest: says that it is there, fills memory, rewrites some of it and checks all of it, round after
// round, and turns the machine off. Without a C library, because Debian's needs floating point.
//
// Arguments, as the kernel hands over what stands behind `--`: how many pages, how many rounds, how many milliseconds between two, and the guest's number; a
// number of 0 asks the console for it, a line: so guests forked from one can be told apart.
typedef unsigned long u64;
typedef unsigned int u32;

static long syscall(long number, long a, long b, long c, long d, long e, long f) {
  register long a0 __asm__("a0") = a;
  register long a1 __asm__("a1") = b;
  register long a2 __asm__("a2") = c;
  register long a3 __asm__("a3") = d;
  register long a4 __asm__("a4") = e;
  register long a5 __asm__("a5") = f;
  register long a7 __asm__("a7") = number;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
  return a0;
}

enum { READ = 63, WRITE = 64, NANOSLEEP = 101, REBOOT = 142, MMAP = 222 };

static void put(const char *text) {
  u64 length = 0;
  while (text[length]) length++;
  syscall(WRITE, 1, (long)text, (long)length, 0, 0, 0);
}

static char line[96];
static u64 filled;

static void add(const char *text) {
  while (*text && filled < sizeof line - 1) line[filled++] = *text++;
  line[filled] = 0;
}

static void add_number(u64 number, int base, int digits) {
  char text[24];
  int at = 23;
  text[at] = 0;
  do text[--at] = "0123456789abcdef"[number % base];
  while ((number /= base) || 23 - at < digits);
  add(text + at);
}

static void flush(void) {
  add("\n");
  put(line);
  filled = 0;
}

static u64 number_of(const char *text) {
  u64 number = 0;
  while (*text >= '0' && *text <= '9') number = number * 10 + (u64)(*text++ - '0');
  return number;
}

static void off(void) {
  syscall(REBOOT, 0xfee1dead, 672274793, 0x4321fedc, 0, 0, 0);
  for (;;) {
  }
}

static u64 mix(u64 x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

static u64 guest;
static u32 *version;

/** Half of the pages hold what every guest has until they are rewritten. */
static u64 word(u64 page, u64 i) {
  u64 owner = version[page] == 0 && page % 2 == 0 ? ~0ul : guest;
  return mix((page << 32) ^ (i << 20) ^ ((u64)version[page] << 8) ^ owner);
}

static void fill(u64 *memory, u64 page) {
  for (u64 i = 0; i < 512; i++) memory[page * 512 + i] = word(page, i);
}

static u64 check(const u64 *memory, u64 pages) {
  u64 digest = 0;
  for (u64 page = 0; page < pages; page++) {
    for (u64 i = 0; i < 512; i++) {
      if (memory[page * 512 + i] != word(page, i)) {
        add("init: wrong: page ");
        add_number(page, 10, 1);
        add(" word ");
        add_number(i, 10, 1);
        flush();
        off();
      }
      digest = mix(digest ^ memory[page * 512 + i]);
    }
  }
  return digest;
}

static u64 ask(void) {
  char answer[16];
  put("init: which guest am I?\n");
  long length = syscall(READ, 0, (long)answer, sizeof answer - 1, 0, 0, 0);
  answer[length > 0 ? length : 0] = 0;
  return number_of(answer);
}

static void *allocate(u64 bytes) {
  long at = syscall(MMAP, 0, (long)bytes, 3, 0x22, -1, 0);
  if (at > 0) return (void *)at;
  put("init: no memory\n");
  off();
  return 0;
}

__attribute__((used)) static void begin(u64 *stack) {
  u64 given[4] = {256, 4, 10, 1};
  char **arguments = (char **)(stack + 1);
  for (u64 i = 1, at = 0; i < stack[0] && at < 4; i++)
    if (arguments[i][0] >= '0' && arguments[i][0] <= '9') given[at++] = number_of(arguments[i]);
  u64 pages = given[0];
  put("init: running\n");
  version = allocate(pages * 4);
  u64 *memory = allocate(pages * 4096);
  guest = given[3] == 0 ? ask() : given[3];
  for (u64 page = 0; page < pages; page++) fill(memory, page);
  u64 seed = guest;
  for (u64 round = 0; round < given[1]; round++) {
    for (u64 i = 0; i < pages / 32; i++) {
      seed = mix(seed + guest + i);
      version[seed % pages]++;
      fill(memory, seed % pages);
    }
    u64 digest = check(memory, pages);
    add("guest ");
    add_number(guest, 10, 1);
    add(" round ");
    add_number(round, 10, 1);
    add(" ");
    add_number(digest, 16, 16);
    flush();
    long pause[2] = {(long)given[2] / 1000, (long)given[2] % 1000 * 1000000};
    syscall(NANOSLEEP, (long)pause, 0, 0, 0, 0, 0);
  }
  put("init: done\n");
  off();
}

__asm__(".globl _start\n_start: mv a0, sp\n andi sp, sp, -16\n tail begin\n");
