import { describe, expect, it } from 'vitest'
import { SnapshotStore } from '../../src/store/index.ts'
import { scratch } from '../support/files.ts'
import { random } from '../support/random.ts'
it('t', async () => {
  for (const dir of [undefined, scratch()]) {
    const r = random(1)
    const store = await SnapshotStore.open(dir)
    const a = new Uint8Array(4096 * 1000)
    for (let i = 0; i < a.length; i += 8192) a[i] = r.below(200)
    console.log(await store.save('a', a))
    const b = a.slice(); b[5000] = 1; b[4096 * 900 + 5] = 7
    console.log(await store.save('b', b, { like: 'a' }))
    console.log(await store.save('c', b.subarray(0, 77777)))
    console.log(store.stats(), store.difference('a', 'b'))
    const t = new Uint8Array(a.length)
    console.log(await store.restore('b', t)); expect(Buffer.compare(t, b)).toBe(0)
    console.log(await store.restore('a', t, { from: 'b' })); expect(Buffer.compare(t, a)).toBe(0)
    await store.drop('a')
    console.log(store.stats())
    await store.compact()
    console.log(store.stats())
    console.log(await store.restore('b', t)); expect(Buffer.compare(t, b)).toBe(0)
    console.log(await store.verify())
    await store.close()
    if (dir) { const again = await SnapshotStore.open(dir); console.log(again.stats(), again.list(), again.notes); await again.restore('b', t); expect(Buffer.compare(t, b)).toBe(0);
      await expect(SnapshotStore.open(dir)).rejects.toThrow('x') }
  }
})
