// examples/hypervisor.mjs: guests of an emulator run on the arena, are merged while they run, and go back in time.
import { Host } from 'pagefold'
import { GuestMemory } from 'pagefold/hypervisor'

const [PAGE, RAM] = [4096, 0x1000_0000]
const host = await Host.create({ frames: 1024 })
host.ksm.set('run', 1)
const frames = (when) => console.log(`${when}: ${host.frames.total - host.frames.free} frames`)

/** A guest of 64 pages, with a CPU that adds 1 to a byte of the first `pages` of them. */
function boot(name) {
  const mm = host.createMm({ name })
  mm.mmap(64 * PAGE, { address: RAM })
  mm.madvise(RAM, 64 * PAGE, 'MADV_MERGEABLE')
  const { shared, imports } = mm.attachCpu()
  const memory = new GuestMemory(shared, imports)
  const touch = (page) => memory.bytes[memory.forWrite(page * PAGE)]++
  return { mm, run: (pages) => void Array.from({ length: pages }, (_, page) => touch(page)) }
}

const guests = ['a', 'b', 'c'].map(boot)
for (const guest of guests) guest.run(64)
frames('192 pages written')
host.ksm.scan(2)
frames('merged')
const [{ mm, run }] = guests
const snapshot = mm.snapshot()
run(10)
frames('10 pages written again')
console.log('changed since the snapshot:', mm.changedSince(snapshot))
mm.restore(snapshot)
frames('gone back')

// 192 pages written: 192 frames
// merged: 1 frames
// 10 pages written again: 11 frames
// changed since the snapshot: [ { address: 268435456, length: 40960 } ]
// gone back: 1 frames
