// What an errno means where a guest meets it.

import { type Errno, PagefoldError } from '../../errors.ts'
import type { MmStruct } from '../model/mm-struct.ts'

const WHY: Partial<Record<Errno, string>> = {
  EFAULT: 'nothing mapped there that allows it',
  ENOMEM: 'no free frame, no metadata left, or a hole in the range',
  EAGAIN: 'somebody holds it at this moment; try again',
  EIO: 'swap could not be read',
  EHWPOISON: 'its frame is broken',
}

/** An mm was refused something: `what` says what it asked for. */
export function refused(mm: MmStruct, errno: Errno, what: string): PagefoldError {
  return new PagefoldError(errno, `${mm.name}: ${what}: ${WHY[errno] ?? 'refused'}`)
}

/** Throws unless what was asked for was done. */
export function expectDone(mm: MmStruct, errno: Errno | undefined, what: string): void {
  if (errno !== undefined) throw refused(mm, errno, what)
}
