// What a census costs beside reading the same files and adding them up in C, one thread against one and two against two, in turns; and
// what memory it takes at three sizes. Processor time and time as it passes: on a machine that others use, only the first means much.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openImage } from '../../src/images/index.ts'
import { PAGE_SIZE, systemClock } from '../../src/index.ts'
import { type CensusResult, census, median, writeSynth } from '../../src/lab/index.ts'
import { buildC } from '../peers/native.ts'

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url))
const PRESET = 'vm-hetero'
const MIB_PAGES = 2 ** 20 / PAGE_SIZE
/** MiB an image; there are two of each size. */
const SIZES = [64, 256, 1024]
const SMOKE_SIZES = [1, 2, 4]
const ROUNDS = 9

/** What a number of threads came to, in nanoseconds a page, medians; and how many times as long the census took, of each round. */
export interface CensusSpeed {
  /** Threads that read, the one that counts among them. */
  readonly threads: number
  readonly sum: { readonly elapsed: number; readonly cpu: number }
  readonly census: { readonly elapsed: number; readonly cpu: number }
  readonly ratio: { readonly elapsed: number; readonly cpu: number }
}

/** What memory a census took, of a process of its own. */
export interface CensusMemory {
  readonly pages: number
  readonly distinct: number
  readonly table_bytes: number
  readonly peak_memory_bytes: number
}

/** Measures speed on the largest files and memory on all, files made for it. Throws if there is no C compiler. */
export async function censusCosts(smoke: boolean): Promise<{ speed: CensusSpeed[]; memory: CensusMemory[] }> {
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-bench-census-'))
  try {
    const program = buildC(dir, 'sum', [['-pthread']])
    if (program === undefined) throw new Error('no C compiler (cc) on this machine')
    const memory: CensusMemory[] = []
    let files: string[] = []
    for (const size of smoke ? SMOKE_SIZES : SIZES) {
      for (const file of files) rmSync(file)
      const out = join(dir, String(size))
      writeSynth({ preset: PRESET, dir: out, pages: size * MIB_PAGES, images: 2 })
      files = [0, 1].map((image) => join(out, `image-${image}.t0.raw`))
      memory.push(memoryOf(files))
    }
    const speed: CensusSpeed[] = []
    for (const threads of [1, 2]) speed.push(await speedOf(program, files, threads, smoke ? 1 : ROUNDS))
    return { speed, memory }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

function memoryOf(files: readonly string[]): CensusMemory {
  const { status, stdout } = spawnSync(process.execPath, [MAIN, 'census', '--json', ...files], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error('pagefold census failed')
  const { pages, distinct, table_bytes, peak_memory_bytes } = JSON.parse(stdout) as CensusResult
  return { pages, distinct, table_bytes, peak_memory_bytes }
}

interface Time {
  readonly elapsed: number
  readonly cpu: number
}

async function speedOf(
  program: string,
  files: readonly string[],
  threads: number,
  rounds: number,
): Promise<CensusSpeed> {
  const sums: Time[] = []
  const ours: Time[] = []
  const images = files.map((file) => openImage(file))
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  for (let round = 0; round <= rounds; round++) {
    const { status, stdout } = spawnSync(program, [String(threads), ...files], { encoding: 'utf8' })
    if (status !== 0) throw new Error('the sum in C failed')
    const { elapsed_ns, cpu_ns } = JSON.parse(stdout) as { elapsed_ns: number; cpu_ns: number }
    const [start, cpu] = [systemClock.now(), systemClock.cpu()]
    await census({ images, workers: threads - 1 })
    const our = { elapsed: (systemClock.now() - start) * 1e6, cpu: (systemClock.cpu() - cpu) * 1e6 }
    if (round === 0) continue // the compiler's, and the files come into the cache
    sums.push({ elapsed: elapsed_ns, cpu: cpu_ns })
    ours.push(our)
  }
  for (const image of images) image.close()
  const of = (times: readonly Time[]): Time => ({
    elapsed: median(times.map(({ elapsed }) => elapsed)) / pages,
    cpu: median(times.map(({ cpu }) => cpu)) / pages,
  })
  const ratio = {
    elapsed: median(ours.map(({ elapsed }, i) => elapsed / sums[i]!.elapsed)),
    cpu: median(ours.map(({ cpu }, i) => cpu / sums[i]!.cpu)),
  }
  return { threads, sum: of(sums), census: of(ours), ratio }
}
