// examples/store.mjs: twenty moments of one guest, kept in little more than the space of one, and any of them back in no time.
import { PAGE_SIZE } from 'pagefold'
import { SnapshotStore } from 'pagefold/store'

const store = await SnapshotStore.open() // in memory; with a directory's name it lasts
const heap = new Uint8Array(1000 * PAGE_SIZE)
for (let page = 0; page < 500; page++)
  heap.fill(1 + (page % 250), page * PAGE_SIZE, page * PAGE_SIZE + 4 + page)

let like
for (let moment = 0; moment < 20; moment++) {
  heap[moment * PAGE_SIZE]++ // the guest runs on, and writes to a page
  await store.save(`moment-${moment}`, heap, { like })
  like = `moment-${moment}`
}
const { pages, distinct_pages, zero_pages } = store.stats()
console.log({ pages, distinct_pages, zero_pages })
console.log('moments 3 and 5 differ in pages', store.difference('moment-3', 'moment-5'))

const { pages_written } = await store.restore('moment-3', heap, { from: 'moment-19' })
console.log(`back at moment 3: ${pages_written} pages written, the first bytes are`, [...heap.subarray(0, 3)])

for (let moment = 4; moment < 20; moment++) await store.drop(`moment-${moment}`)
console.log(`${store.stats().distinct_pages} pages are left`)
await store.close()

// { pages: 20000, distinct_pages: 519, zero_pages: 10000 }
// moments 3 and 5 differ in pages [ 4, 5 ]
// back at moment 3: 16 pages written, the first bytes are [ 2, 1, 1 ]
// 503 pages are left
