// examples/pglite/main.mjs: moments of a PostgreSQL in WebAssembly, kept in the space of one. Needs the package
// @electric-sql/pglite.
//
// Two things make up a moment: the heap, and the files, which PGlite keeps outside of it. A heap can be looked at and compared; to
// go on from a moment, its files are what PGlite loads. So both are saved here, and the files are restored.
import { PGlite } from '@electric-sql/pglite'
import { SnapshotStore } from 'pagefold/store'

const MOMENTS = Number(process.argv[2] ?? 5)
const store = await SnapshotStore.open(process.argv[3])
const database = await PGlite.create()
await database.exec('CREATE TABLE entries (number int, hash text)')

for (let moment = 0; moment < MOMENTS; moment++) {
  const rows = `generate_series(${1000 * moment + 1}, ${1000 * (moment + 1)}) number`
  await database.exec(`INSERT INTO entries SELECT number, md5(number::text) FROM ${rows}; CHECKPOINT`)
  const files = await (await database.dumpDataDir('none')).arrayBuffer()
  const like = (kind) => (moment === 0 ? {} : { like: `${kind}-${moment - 1}` })
  const heap = await store.save(`heap-${moment}`, database.Module.HEAPU8, like('heap'))
  const saved = await store.save(`files-${moment}`, new Uint8Array(files), like('files'))
  console.log(
    `moment ${moment}: ${heap.added_pages} pages of the heap are new, ${saved.added_pages} of the files`,
  )
}
await database.close()

const { pages, distinct_pages, bytes_held } = store.stats()
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
console.log(`${mib(pages * 4096)} in ${mib(bytes_held)}: ${distinct_pages} distinct pages`)

// The second moment, in a database of its own.
const files = new Uint8Array(store.get('files-1').bytes)
await store.restore('files-1', files)
const again = await PGlite.create({ loadDataDir: new Blob([files]) })
const { rows } = await again.query('SELECT count(*)::int, max(hash) FROM entries')
console.log(rows[0].count === 2000 ? 'moment 1 is back: 2000 entries' : `wrong: ${JSON.stringify(rows)}`)
await again.close()
await store.close()
