// Compiles the bare programs, and the init of Linux guests. Needs Debian's gcc-riscv64-unknown-elf (or another compiler named by RISCV_CC); what comes out is committed, so
// that nobody else needs it.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const compiler = process.env.RISCV_CC ?? 'riscv64-unknown-elf-gcc'
const FLAGS = [
  '-march=rv64imac_zicsr_zifencei',
  '-mabi=lp64',
  '-mcmodel=medany',
  '-mno-relax',
  '-O2',
  '-ffreestanding',
  '-fno-builtin',
]
const LINK = [
  '-nostdlib',
  '-static',
  '-s',
  '-Wl,-z,max-page-size=4096',
  '-Wl,--build-id=none',
  '-Wl,--no-warn-rwx-segments',
]

for (const name of ['primes', 'pages', 'traps']) {
  compile(`${name}.elf`, [...LINK, '-T', 'link.ld', 'start.S', 'bare.c', `${name}.c`])
}
compile('../linux/init.elf', [...LINK, '../linux/init.c'])

function compile(out, rest) {
  const args = [...FLAGS, '-Wall', '-o', out, ...rest]
  const { status, error, stderr } = spawnSync(compiler, args, { cwd: here, encoding: 'utf8' })
  if (error)
    throw new Error(
      `${compiler} cannot be run: ${error.message}. Debian: apt-get install gcc-riscv64-unknown-elf`,
    )
  if (status !== 0) throw new Error(`${out}:\n${stderr}`)
  if (stderr !== '') console.error(stderr)
}
