// The benches that are no command of their own: `npm run bench:micro`, `npm run bench:memory`,
// `npm run bench:cold -- IMAGE...`, `npm run bench:cpus`, `npm run bench:growth -- [NAME...]`, `npm run bench:scale`, `npm run bench:census`,
// `npm run bench:fleet -- [HOSTS]`, `npm run bench:store`. Merge throughput beside its peers is `pagefold bench`.

import { PagefoldError } from '../src/index.ts'
import { cpuFigures } from './cpus/index.ts'
import { growth } from './growth/index.ts'
import type { Grown } from './growth/measure.ts'
import { censusCosts } from './macro/census.ts'
import { coldStart } from './macro/cold.ts'
import { fleetCost } from './macro/fleet.ts'
import { memorySpeed } from './macro/memory.ts'
import { scaleFigures } from './macro/scale.ts'
import { microGroups } from './micro/groups.ts'
import { type MicroResult, runGroup } from './micro/suite.ts'
import { storeFigures } from './store/index.ts'

const MICRO_HEAD = `${''.padEnd(44)} ${'ns'.padStart(8)}  ${'from..to'.padEnd(17)}  ${'GB/s'.padStart(5)}  Benchmark.js`
const GROWTH_HEAD = `${'what'.padEnd(52)} ${'n'.padEnd(13)} ${'at'.padStart(6)}        ms   ms of 4 n  ms of 16 n  exponent`

const DEFAULT_HOSTS = 1000

const [what, ...args] = process.argv.slice(2)
const smoke = args.includes('--smoke')

try {
  if (what === 'micro') {
    console.log(MICRO_HEAD)
    for (const group of await microGroups(smoke)) {
      const { results, load } = await runGroup(group, smoke)
      console.log(group.name)
      for (const result of results) console.log(`  ${describe(result)}`)
      if (load.busy) console.log('  this machine was busy: processor time is longer than on an idle one')
    }
  } else if (what === 'cold' && args.length > 0) {
    const { pagefold_ms, native_ms, node_ms, ratio } = coldStart(args, 9)
    const floor = `starting Node for nothing ${node_ms.toFixed(0)} ms`
    console.log(
      `pagefold scan ${pagefold_ms.toFixed(0)} ms (${floor}), native ${native_ms.toFixed(0)} ms, ratio ${ratio.toFixed(2)}`,
    )
  } else if (what === 'scale') {
    const changes = args.includes('checksum') ? 'checksum' : 'log'
    for (const { what, ns, ratio } of await scaleFigures(changes, smoke)) {
      const [small, large] = ns.map((one) => `${one.toFixed(1)} ns`.padStart(10))
      console.log(`${what.padEnd(30)} ${small} a page of few, ${large} of many, ratio ${ratio.toFixed(2)}`)
    }
  } else if (what === 'memory') {
    const { sum, compare, checksums } = await memorySpeed(smoke)
    console.log(`adding up a cold page, in C      ${sum.toFixed(0)} ns`)
    for (const [name, ns] of Object.entries(checksums)) {
      console.log(`${name.padEnd(32)} ${ns.toFixed(0)} ns, ${((100 * sum) / ns).toFixed(0)} % of that speed`)
    }
    const { native, pagefold } = compare
    console.log(`memcmp of two cold equal pages   ${native.toFixed(0)} ns`)
    console.log(
      `comparePages                     ${pagefold.toFixed(0)} ns, ${(pagefold / native).toFixed(2)} times as long`,
    )
  } else if (what === 'cpus') {
    for await (const line of cpuFigures(smoke)) console.log(line)
  } else if (what === 'census') {
    const { speed, memory } = await censusCosts(smoke)
    for (const { threads, sum, census, ratio } of speed) {
      console.log(
        `${threads} reading: adding up in C ${sum.elapsed.toFixed(0)} ns a page, ${sum.cpu.toFixed(0)} of a processor; census ` +
          `${census.elapsed.toFixed(0)}, ${census.cpu.toFixed(0)}; ratio ${ratio.elapsed.toFixed(2)}, ${ratio.cpu.toFixed(2)}`,
      )
    }
    for (const { pages, distinct, table_bytes, peak_memory_bytes } of memory) {
      const mib = (peak_memory_bytes / 2 ** 20).toFixed(0)
      const each = (table_bytes / distinct).toFixed(1)
      console.log(`${pages} pages, ${distinct} contents: ${each} bytes a content, ${mib} MiB in all`)
    }
  } else if (what === 'fleet') {
    const { hosts, guests, bytes_shared, ...seconds } = await fleetCost(
      smoke ? 4 : Number(args[0] ?? DEFAULT_HOSTS),
    )
    const { now, random, placed } = bytes_shared
    console.log(
      `${hosts} hosts, ${guests} guests: written in ${seconds.seconds_to_write.toFixed(1)} s, asked in ${seconds.seconds_to_ask.toFixed(1)} s; ` +
        `placed by contents guests share ${(placed / now).toFixed(2)} times what they do now, ${(placed / random).toFixed(2)} times what chance does`,
    )
  } else if (what === 'growth') {
    console.log(GROWTH_HEAD)
    const names = args.filter((arg) => arg !== '--smoke')
    const all = await growth(names, smoke, (grown) => console.log(growthLine(grown)))
    const worse = all.filter(({ verdict }) => verdict === 'worse than n log n')
    console.log(`${all.length} measured, ${worse.length} worse than n log n`)
    if (worse.length > 0) process.exitCode = 1
  } else if (what === 'store') {
    const names = args.filter((arg) => arg !== '--smoke')
    await storeFigures(names, smoke, ({ what, figure }) => console.log(`${what}: ${figure}`))
  } else {
    console.error(
      'usage: node dist/bench.js micro [--smoke] | memory [--smoke] | cold IMAGE... | cpus [--smoke] | growth [NAME...] | scale [log | checksum] [--smoke] | census [--smoke] | fleet [HOSTS] | store [NAME...] [--smoke]',
    )
    process.exitCode = 2
  }
} catch (error) {
  if (!(error instanceof PagefoldError)) throw error
  console.error(`pagefold: ${error.message}`)
  process.exitCode = 2
}

function describe({ name, time, benchmark_js, bytes }: MicroResult): string {
  const { median, low, high } = time
  const rate = bytes === 0 ? '' : (bytes / median).toFixed(1)
  const interval = `${low.toFixed(1)}..${high.toFixed(1)}`.padEnd(17)
  const { ns, rme } = benchmark_js
  return `${name.padEnd(42)} ${median.toFixed(1).padStart(8)}  ${interval}  ${rate.padStart(5)}  ${ns.toFixed(1)} ± ${rme.toFixed(1)} %`
}

function growthLine({ name, of, sizes, ms, exponent, verdict }: Grown): string {
  const times = ms.map((time) => time.toFixed(1).padStart(10)).join('  ')
  const size = String(sizes[0]).padStart(6)
  return `${name.padEnd(52)} ${of.padEnd(13)} ${size}${times}  ${exponent.toFixed(2).padStart(8)}  ${verdict}`
}
