// What an audit notes, and how it counts.

/** Notes what differs from what it should be. */
export class Complaints {
  readonly list: string[] = []

  unless(holds: boolean, what: () => string): void {
    if (!holds) this.list.push(what())
  }

  equal(what: string, found: number, recounted: number): void {
    this.unless(found === recounted, () => `${what} is ${found}, recounted ${recounted}`)
  }
}

/** One more of a key. */
export function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
