// What the contents of many hosts say together: what each saves, what others could, which contents are everywhere.

import { PAGE_SIZE } from '../../index.ts'
import { median, placeAtRandom, placeGuests, savedBy } from '../../lab/index.ts'
import type { FleetResult } from '../json.ts'
import { FleetDatabase } from './database.ts'
import { everywhere, GUESTS, HOSTS, SHARED_ROWS, sharedRows, TOTAL } from './queries.ts'

/** Rows that placing guests goes by at most; of more a sample of contents. */
const MOST_ROWS = 1_000_000
const RANDOM_PLACEMENTS = 9

/** Asks all that is to be known. Throws what `FleetDatabase.open` does. */
export async function askFleet(dir: string, most: number): Promise<FleetResult> {
  const database = await FleetDatabase.open(dir)
  try {
    const hosts = (await database.rows(HOSTS)) as unknown as FleetResult['hosts']
    const [total] = (await database.rows(TOTAL)) as unknown as [
      { contents: number; pages: number; on_several_hosts: number },
    ]
    const common = (await database.rows(everywhere(most))) as unknown as FleetResult['everywhere']
    const saved = hosts.reduce((sum, host) => sum + host.saved, 0)
    return {
      hosts,
      guests: hosts.reduce((sum, host) => sum + host.guests, 0),
      pages: total.pages,
      contents: total.contents,
      contents_on_several_hosts: total.on_several_hosts,
      bytes_saved: saved * PAGE_SIZE,
      everywhere: common,
      placement: await placed(database),
    }
  } finally {
    database.close()
  }
}

/** Where guests would save more, each host taking as many as it has now. */
async function placed(database: FleetDatabase): Promise<FleetResult['placement']> {
  const guests = (await database.rows(GUESTS)) as unknown as { host: string; guest: string }[]
  const [{ rows }] = (await database.rows(SHARED_ROWS)) as unknown as [{ rows: number }]
  const oneIn = Math.max(1, Math.ceil(rows / MOST_ROWS))
  const shared = (await database.rows(sharedRows(oneIn))) as unknown as {
    host: string
    guest: string
    content: number
  }[]
  const names = [...new Set(guests.map(({ host }) => host))]
  const numberOf = new Map(guests.map(({ host, guest }, i) => [JSON.stringify([host, guest]), i]))
  const contents: number[][] = guests.map(() => [])
  for (const { host, guest, content } of shared)
    contents[numberOf.get(JSON.stringify([host, guest]))!]!.push(content)
  const now = guests.map(({ host }) => names.indexOf(host))
  const task = {
    guests: contents,
    contents: shared.reduce((highest, { content }) => Math.max(highest, content + 1), 0),
    hosts: names.map((_, host) => now.filter((at) => at === host).length),
  }
  const found = placeGuests({ ...task, now })
  const drawn = Array.from({ length: RANDOM_PLACEMENTS }, (_, seed) => placeAtRandom(task, seed + 1).saved)
  const bytes = (contents: number): number => contents * oneIn * PAGE_SIZE
  return {
    contents_sampled_one_in: oneIn,
    bytes_shared_now: bytes(savedBy(task, now)),
    bytes_shared_at_random: bytes(median(drawn)),
    bytes_shared_if_placed: bytes(found.saved),
    moves: guests.flatMap(({ host, guest }, i) => {
      const to = names[found.hostOf[i]!]!
      return to === host ? [] : [{ guest, from: host, to }]
    }),
  }
}
