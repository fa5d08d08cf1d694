// What is seen while guests run: a few lines that stay where they are on a terminal, a line now and then elsewhere.

import type { Fleet, Sample } from './fleet.ts'

const EVERY_MS = 250
/** Lines of a file stay: fewer of them. */
const LINE_MS = 2000
const MIB = 2 ** 20 / 4096
const BAR = 40

export class View {
  private readonly out: NodeJS.WriteStream
  private drawn = 0
  private sampled = Number.NEGATIVE_INFINITY
  private printed = Number.NEGATIVE_INFINITY

  constructor(out: NodeJS.WriteStream) {
    this.out = out
  }

  /** Shows the fleet, if it is time to. */
  show(fleet: Fleet, force = false): void {
    const now = performance.now()
    if (!force && now - this.sampled < EVERY_MS) return
    this.sampled = now
    const sample = fleet.sample()
    if (!this.out.isTTY) {
      if (!force && now - this.printed < LINE_MS) return
      this.printed = now
      this.out.write(`${oneLine(sample)}\n`)
      return
    }
    const lines = picture(fleet, sample, Math.max(20, this.out.columns ?? 80))
    const up = this.drawn > 0 ? `\x1b[${this.drawn}A\r\x1b[J` : ''
    this.out.write(`${up}${lines.join('\n')}\n`)
    this.drawn = lines.length
  }
}

function oneLine({ ms, framesUsed, pagesShared, pagesSharing, cowBreaks, guestsRunning }: Sample): string {
  const seconds = (ms / 1000).toFixed(1)
  const pages = `${pagesSharing} pages share ${pagesShared}`
  return `${seconds} s: ${guestsRunning} guests, ${mib(framesUsed)} MiB used, ${pages}, ${cowBreaks} copied again`
}

function picture(fleet: Fleet, sample: Sample, columns: number): string[] {
  const pages = sample.framesUsed + sample.pagesSharing
  const lines = [
    `${(sample.ms / 1000).toFixed(1)} s   ${Math.round(sample.instructions)} million instructions`,
    `used     ${bar(sample.framesUsed, pages)} ${mib(sample.framesUsed)} MiB`,
    `saved    ${bar(sample.pagesSharing, pages)} ${mib(sample.pagesSharing)} MiB, ${sample.cowBreaks} pages copied again`,
    '',
  ]
  const room = 24
  for (const { name, state, lines: said } of fleet.guests.slice(0, room)) {
    const text = said.findLast((line) => line !== '') ?? ''
    lines.push(`${name.padEnd(9)} ${state.padEnd(8)} ${text}`)
  }
  if (fleet.guests.length > room) lines.push(`and ${fleet.guests.length - room} more`)
  return lines.map((line) => line.slice(0, columns - 1))
}

function bar(part: number, whole: number): string {
  const length = whole === 0 ? 0 : Math.round((BAR * part) / whole)
  return '#'.repeat(length).padEnd(BAR, '.')
}

function mib(pages: number): number {
  return Math.round(pages / MIB)
}
