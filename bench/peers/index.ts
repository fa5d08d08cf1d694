// The peers, in the order in which they take turns.

import { js } from './js.ts'
import { linux } from './linux.ts'
import { native, nativeInline } from './native.ts'
import { pagefold, pagefoldChecksum, pagefoldStill } from './pagefold.ts'
import type { Peer } from './peer.ts'

export const PEERS: readonly Peer[] = [
  pagefold,
  pagefoldStill,
  pagefoldChecksum,
  linux,
  native,
  nativeInline,
  js,
]
