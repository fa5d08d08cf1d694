// No checksum: every page has the same one. Whatever finds equal pages then finds them by comparing contents alone, and
// no change is ever noticed by the checksum. Nothing is merged wrongly for that, because pages are compared again, at
// rest, before every merge; but pages that never keep still are searched for in every scan.

/** The checksum of any page. */
export function none(): u64 {
  return 0
}
