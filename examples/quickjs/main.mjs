// examples/quickjs/main.mjs: a hundred suspended JavaScript sessions, each a heap of its own, in the space of a few. Needs the
// package quickjs-wasi.
import { readFile } from 'node:fs/promises'
import { SnapshotStore } from 'pagefold/store'
import { QuickJS } from 'quickjs-wasi'

const SESSIONS = Number(process.argv[2] ?? 100)
const wasm = await WebAssembly.compile(
  await readFile(new URL(import.meta.resolve('quickjs-wasi/quickjs.wasm'))),
)
const store = await SnapshotStore.open(process.argv[3])

/** What a snapshot has beside its memory goes along as the note. */
async function suspend(vm, name, like) {
  const { memory, ...rest } = vm.snapshot()
  return store.save(name, memory, { note: JSON.stringify(rest), ...(like && { like }) })
}

async function resume(name) {
  const { bytes, note } = store.get(name)
  const memory = new Uint8Array(bytes)
  await store.restore(name, memory)
  return QuickJS.restore({ ...JSON.parse(note), memory }, { wasm })
}

const run = (vm, code) => vm.evalCode(code).consume((value) => value.toNumber())

const base = await QuickJS.create({ wasm })
run(base, 'const words = Array.from({ length: 20000 }, (_, i) => "word " + i); let visits = 0; words.length')
await suspend(base, 'base')

for (let i = 0; i < SESSIONS; i++) {
  const vm = await resume('base')
  run(vm, `const me = ${i}; visits = 1`)
  await suspend(vm, `session-${i}`, 'base')
  vm.dispose()
}

// Every one of them goes on where it was.
let sum = 0
for (let i = 0; i < SESSIONS; i++) {
  const vm = await resume(`session-${i}`)
  sum += run(vm, 'visits += 1; me * 1000 + visits + (words[me] === "word " + me ? 0 : NaN)')
  vm.dispose()
}
console.log(
  sum === (SESSIONS * (SESSIONS - 1) * 1000) / 2 + 2 * SESSIONS ? 'all sessions went on' : `wrong: ${sum}`,
)
const { pages, distinct_pages, bytes_held } = store.stats()
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
console.log(
  `${SESSIONS + 1} heaps of ${mib(pages * 4096)} in ${mib(bytes_held)}: ${distinct_pages} distinct pages`,
)
await store.close()
