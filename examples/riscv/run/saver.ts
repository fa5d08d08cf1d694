// Saves guests while they run: each once, when it has executed so many instructions. It is forked, which takes a moment, and the child is
// written to the disk while the guest runs on.

import type { Guest } from '../machine/guest.ts'
import type { Fleet } from './fleet.ts'
import { writeSaved } from './saved.ts'
import type { Threads } from './threads.ts'

export class Saver {
  private readonly folder: string
  private readonly after: number
  private readonly threads: Threads | undefined
  private readonly begun = new Set<Guest>()
  private readonly writing: Promise<boolean>[] = []

  /** `after`: instructions. `threads`: where the fleet's guests run, if not here. */
  constructor(folder: string, after: number, threads?: Threads) {
    this.folder = folder
    this.after = after
    this.threads = threads
  }

  /** Begins to save the guests whose time has come. */
  look(fleet: Fleet): void {
    for (const guest of fleet.guests) {
      if (guest.state === 'stopped' || this.begun.has(guest)) continue
      if (guest.machine.instructions < this.after) continue
      this.begun.add(guest)
      this.writing.push(this.save(guest))
    }
  }

  /** Resolves to how many have been saved when all are written. */
  async done(): Promise<number> {
    return (await Promise.all(this.writing)).filter((saved) => saved).length
  }

  /** False if it has stopped before it could be had. */
  private async save(guest: Guest): Promise<boolean> {
    const forked =
      guest.isOnThread && this.threads !== undefined
        ? await this.threads.whileHeld(guest, (devices) => guest.save(devices))
        : guest.save()
    if (forked === undefined) return false
    try {
      await writeSaved(this.folder, forked.state)
    } finally {
      forked.release()
    }
    return true
  }
}
