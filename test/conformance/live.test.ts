// What a census says of processes that run, against what the kernel makes of them: counted first, then merged by ksmd.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { afterAll, describe, expect, it } from 'vitest'
import { sysfsUnavailable, withKsmd } from '../../bench/peers/ksmd.ts'
import { kernelKsmStat, openSources } from '../../src/images/index.ts'
import { PAGE_SIZE } from '../../src/index.ts'
import { type CensusResult, census } from '../../src/lab/index.ts'

/**
 * A process as others are: an interpreter with some libraries, texts that recur, tables of numbers, buffers of zeros. It gives all its memory to
 * KSM (PR_SET_MEMORY_MERGE is 67), says so, and waits.
 */
const PROGRAM = `
import ctypes, sys
if ctypes.CDLL(None).prctl(67, 1, 0, 0, 0) != 0: sys.exit(3)
import json, decimal, unittest, random
number = int(sys.argv[1])
random.seed(number % 2)
texts = [json.dumps({"line": i % 700, "text": "x" * 300}) for i in range(20000)]
tables = [[random.random() for _ in range(4000)] for _ in range(60)]
zeros = bytearray(12 << 20)
for at in range(0, len(zeros), 4096): zeros[at] = 0
own = random.Random(number).randbytes(8 << 20)
print("ready", flush=True)
sys.stdin.read()
`
const PROCESSES = 4
const SCANS = 4

const hasPython =
  spawnSync('python3', ['-c', 'import ctypes, random; random.Random(1).randbytes']).status === 0
const unavailable = sysfsUnavailable() ?? (hasPython ? undefined : 'no python3')

const children: ChildProcess[] = []
afterAll(endAll)

async function endAll(): Promise<void> {
  const ended = children.splice(0).map((child) => {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    return gone
  })
  await Promise.all(ended)
}

/** Starts the processes and stops them where they are. */
async function start(): Promise<number[]> {
  for (let number = 0; number < PROCESSES; number++) {
    children.push(spawn('python3', ['-c', PROGRAM, String(number)], { stdio: ['pipe', 'pipe', 'inherit'] }))
  }
  for (const child of children) {
    await new Promise((resolve, reject) => {
      child.stdout!.once('data', resolve)
      child.once('exit', (code) => reject(new Error(`python3 ended with ${code}`)))
    })
    child.kill('SIGSTOP')
  }
  return children.map(({ pid }) => pid!)
}

async function counted(pids: readonly number[], knobs: Record<string, number>): Promise<CensusResult> {
  const images = openSources(
    pids.map((pid) => `pid:${pid}`),
    { mergeable: true, inUse: true },
  )
  const result = await census({ images, knobs })
  for (const image of images) image.close()
  return result
}

describe.skipIf(unavailable)(`the running kernel${unavailable ? ` (skipped: ${unavailable})` : ''}`, () => {
  it('comes to what was foretold of processes, within one in a hundred', async () => {
    const rows = await withKsmd({ merge_across_nodes: 1, max_page_sharing: 256 }, async (ksmd) => {
      const pids = await start()
      try {
        const foretold = await counted(pids, { max_page_sharing: 256 })
        for (let scan = 0; scan < SCANS; scan++) await ksmd.fullScan()
        const stats = pids.map((pid) => kernelKsmStat(pid)!)
        const sum = (of: (stat: (typeof stats)[number]) => number): number =>
          stats.reduce((all, stat) => all + of(stat), 0)
        const { counters } = foretold
        return {
          pages_shared: [counters.pages_shared, ksmd.counter('pages_shared')],
          pages_sharing: [counters.pages_sharing, ksmd.counter('pages_sharing')],
          pages_unshared: [counters.pages_unshared, ksmd.counter('pages_unshared')],
          pages_volatile: [counters.pages_volatile, ksmd.counter('pages_volatile')],
          merging: [counters.pages_shared + counters.pages_sharing, sum((stat) => stat.ksm_merging_pages)],
          items: [foretold.pages, sum((stat) => stat.ksm_rmap_items)],
          // A process's profit counts its merged pages as saved, the first of each content too.
          profit: [
            counters.general_profit + counters.pages_shared * PAGE_SIZE,
            sum((stat) => stat.ksm_process_profit),
          ],
        } as Record<string, [foretold: number, real: number]>
      } finally {
        await endAll()
      }
    })
    console.log(JSON.stringify(rows))
    for (const name of ['profit', 'merging', 'pages_sharing', 'items'] as const) {
      const [foretold, real] = rows[name]!
      expect(real, name).toBeGreaterThan(1000)
      expect(Math.abs(foretold / real - 1), `${name}: ${foretold} foretold, ${real} came`).toBeLessThan(0.01)
    }
  })
})
