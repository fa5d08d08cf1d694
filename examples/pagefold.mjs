// examples/pagefold.mjs: two guests hold the same hundred pages twice; ksmd merges them, and a write takes one apart again.
import { Host, PAGE_SIZE } from 'pagefold'

const host = await Host.create({ frames: 65_536 })
const length = 100 * PAGE_SIZE
const [a, b] = ['guest-a', 'guest-b'].map((name) => {
  const mm = host.createMm({ name })
  const address = mm.mmap(length)
  mm.write(address, new Uint8Array(length).fill(42))
  mm.madvise(address, length, 'MADV_MERGEABLE')
  return { mm, address }
})

host.ksm.set('run', 1)
host.ksm.scan(2) // two full scans: the first learns checksums, the second merges
const { pages_shared, pages_sharing } = host.ksm.counters()
console.log({ pages_shared, pages_sharing, free: host.frames.free })

b.mm.write(b.address, Uint8Array.of(1))
console.log('a reads', a.mm.read(a.address, 1)[0], 'and b', b.mm.read(b.address, 1)[0])
console.log({ cow_ksm: host.vmstat().cow_ksm, free: host.frames.free })
host.close()

// { pages_shared: 1, pages_sharing: 199, free: 65535 }
// a reads 42 and b 1
// { cow_ksm: 1, free: 65534 }
