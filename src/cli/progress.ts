// How far a command has come: one line on stderr that is drawn over and over, only where stderr is a terminal.

import { STANDARD_WIDTH } from './terminal.ts'

const BAR = 20
const REDRAW_MS = 80
/** Before, a guess would be none. */
const FIRST_GUESS_MS = 500

/** Where it is shown. */
export interface Screen {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

export class Progress {
  private readonly screen: Screen
  private readonly now: () => number
  private readonly active: boolean
  private label = ''
  private began = 0
  private lastDraw = Number.NEGATIVE_INFINITY

  constructor(screen: Screen = process.stderr, now: () => number = () => performance.now()) {
    this.screen = screen
    this.now = now
    this.active = screen.isTTY === true
  }

  /** Draws how far something has come, `done` of `of` things that `noun` names, and how long the rest will take. Cheap to call often. */
  show(label: string, done: number, of: number, noun = ''): void {
    if (!this.active) return
    const now = this.now()
    if (label !== this.label) {
      this.label = label
      this.began = now
      this.lastDraw = Number.NEGATIVE_INFINITY
    }
    if (done < of && now - this.lastDraw < REDRAW_MS) return
    this.lastDraw = now
    const share = Math.min(1, done / Math.max(of, 1))
    const filled = Math.round(BAR * share)
    const parts = [
      label,
      `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)}`,
      `${Math.floor(100 * share)} %`,
      ...(noun === '' ? [] : [`${done.toLocaleString('en-US')} of ${of.toLocaleString('en-US')} ${noun}`]),
      ...timeLeft(now - this.began, share),
    ]
    const line = parts.join('  ')
    this.screen.write(`\r\x1b[K${line.slice(0, (this.screen.columns || STANDARD_WIDTH) - 1)}`)
  }

  clear(): void {
    if (this.active) this.screen.write('\r\x1b[K')
  }
}

function timeLeft(passed: number, share: number): string[] {
  if (passed < FIRST_GUESS_MS || share === 0 || share === 1) return []
  const seconds = Math.ceil((passed * (1 - share)) / share / 1000)
  return [seconds < 60 ? `${seconds} s left` : `${Math.floor(seconds / 60)} min ${seconds % 60} s left`]
}
