// What goes to the terminal, or wherever standard output goes: all of it, or the command fails and says so. Nothing that comes from
// outside, a file's name first of all, may move the cursor or begin a line of its own.

import { writeSync } from 'node:fs'
import { paint } from './terminal.ts'

/** Standard output does not take what is written. */
export class OutputError extends Error {
  override readonly name = 'OutputError'
  /** Who reads it has gone, and need not be told. */
  readonly closed: boolean

  constructor(cause: NodeJS.ErrnoException) {
    super(`standard output: cannot be written (${cause.code ?? cause.message})`, { cause })
    this.closed = cause.code === 'EPIPE'
  }
}

/** Prints lines on standard output. Throws OutputError. */
export function print(text: string): void {
  const bytes = Buffer.from(`${text}\n`)
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(1, bytes, done)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EAGAIN') throw new OutputError(cause as Error)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1) // a pipe that is full, and does not block
    }
  }
}

/** Prints one JSON object. */
export function printJson(result: unknown): void {
  print(printable(JSON.stringify(result)))
}

/** Says on standard error what the user should know: what is `bad`, or what is only doubtful. Where there is nobody to be told, nobody is. */
export function complain(text: string, what: 'bad' | 'doubtful' = 'doubtful'): void {
  try {
    writeSync(2, `${paint(what, 'pagefold:', 'stderr')} ${printable(text)}\n`)
  } catch {
    // Whatever is wrong with it, there is no other place to say so.
  }
}

/** A text as it may go to a terminal: control characters, and what turns the direction of writing round, as JSON escapes them. */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => {
      const short = JSON.stringify(character).slice(1, -1)
      return short.length > 1 ? short : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
    },
  )
}
