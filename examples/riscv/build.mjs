// Builds what the example runs: the CPU with asc (and once more with memory that is one block), the machine with esbuild.
//
//   build/cpu.wasm  build/cpu-flat.wasm  build/main.js
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'
import { build as esbuild } from 'esbuild'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../..')
const OPTIONS = [
  '-O3',
  '--noAssert',
  '--importMemory',
  '--sharedMemory',
  '--noExportMemory',
  '--initialMemory',
  '1',
  '--maximumMemory',
  '65536',
  '--runtime',
  'stub',
  '--enable',
  'threads',
  '--use',
  'abort=',
]

/** Compiles the CPU; `flat`: with memory-flat.ts in the place of memory.ts. */
export async function buildCpu({ flat = false } = {}) {
  const outFile = join(here, 'build', flat ? 'cpu-flat.wasm' : 'cpu.wasm')
  const entry = relative(root, join(here, 'cpu/index.ts'))
  const readFile = (name, base) => {
    const path = join(base, flat ? name.replace(/\bmemory\.ts$/, 'memory-flat.ts') : name)
    return existsSync(path) ? readFileSync(path, 'utf8') : null
  }
  mkdirSync(join(here, 'build'), { recursive: true })
  const files = new Map()
  const { error, stderr } = await asc.main([entry, '--baseDir', root, '--outFile', 'cpu.wasm', ...OPTIONS], {
    readFile,
    writeFile: (name, contents) => files.set(name, contents),
    listFiles: () => [],
  })
  if (error) throw new Error(`the CPU cannot be compiled:\n${stderr.toString()}`)
  writeFileSync(outFile, files.get('cpu.wasm'))
  return outFile
}

/** The newest of all files in a folder. */
function newest(folder) {
  return Math.max(...readdirSync(folder).map((name) => statSync(join(folder, name)).mtimeMs))
}

/** Compiles both where a source is newer. */
export async function readyCpu() {
  const made = join(here, 'build/cpu-flat.wasm')
  const sources = Math.max(newest(join(here, 'cpu')), newest(join(root, 'assembly/hypervisor')))
  if (existsSync(made) && statSync(made).mtimeMs > sources) return
  await buildCpu()
  await buildCpu({ flat: true })
}

/** Bundles the machine and the command: Node 20 runs no TypeScript. */
export async function buildMain() {
  await esbuild({
    entryPoints: {
      main: join(here, 'main.ts'),
      thread: join(here, 'run/thread.ts'),
      bench: join(here, 'bench.ts'),
      store: join(here, 'store.ts'),
    },
    outdir: join(here, 'build'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['pagefold', 'pagefold/*'],
    logLevel: 'warning',
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await readyCpu()
  await buildMain()
}
