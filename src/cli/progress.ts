// A progress bar on stderr, only where stderr is a terminal.

const WIDTH = 30
const REDRAW_MS = 80

export class Progress {
  private readonly active = process.stderr.isTTY === true
  private lastDraw = 0

  /** Draws how far something has come; cheap to call often. */
  show(label: string, done: number, of: number): void {
    if (!this.active) return
    const now = performance.now()
    if (done < of && now - this.lastDraw < REDRAW_MS) return
    this.lastDraw = now
    const filled = Math.round((WIDTH * done) / Math.max(of, 1))
    const percent = Math.floor((100 * done) / Math.max(of, 1))
    const bar = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}`
    process.stderr.write(`\r\x1b[K${label} ${bar} ${percent} %`)
  }

  /** Draws a step of unknown length. */
  note(label: string): void {
    if (this.active) process.stderr.write(`\r\x1b[K${label}`)
  }

  clear(): void {
    if (this.active) process.stderr.write('\r\x1b[K')
  }
}
