// What the terminal is like: how wide, and whether it shows colours.

import { styleText } from 'node:util'

/** Where nobody says otherwise, and what texts are written for. */
export const STANDARD_WIDTH = 80

/**
 * Characters that fit on a line of standard output: those of the terminal. What is no terminal has no width, unless COLUMNS says
 * one: in a pipe or a file nothing is left out.
 */
export function width(): number {
  if (process.stdout.isTTY === true) return process.stdout.columns || STANDARD_WIDTH
  const wanted = Number(process.env.COLUMNS)
  return Number.isSafeInteger(wanted) && wanted > 0 ? wanted : Number.POSITIVE_INFINITY
}

/** What a colour says, the same in every command. */
const STYLES = { head: 'bold', good: 'green', bad: 'red', doubtful: 'yellow', aside: 'gray' } as const
export type Meaning = keyof typeof STYLES

/**
 * Colours a text by what it means, where a person looks: on a terminal, and where FORCE_COLOR asks for it. Not where NO_COLOR
 * asks for none, which weighs more than the other.
 */
export function paint(meaning: Meaning, text: string, stream: 'stdout' | 'stderr' = 'stdout'): string {
  return hasColours(process[stream]) ? styled(STYLES[meaning], text) : text
}

function hasColours(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env
  if (NO_COLOR) return false
  if (FORCE_COLOR) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  return stream.isTTY === true && TERM !== 'dumb'
}

/** Newer Nodes look at the stream themselves, by rules of their own; it has been looked at here. */
function styled(style: (typeof STYLES)[Meaning], text: string): string {
  const anyStream = { validateStream: false }
  return (styleText as (...args: [string, string, object]) => string)(style, text, anyStream)
}

/** Breaks lines that are longer at their spaces, and indents what goes on as what it belongs to. */
export function folded(text: string, most = STANDARD_WIDTH): string {
  return text
    .split('\n')
    .map((line) => (line.length <= most ? line : foldLine(line, most)))
    .join('\n')
}

function foldLine(line: string, most: number): string {
  const indent = ' '.repeat(hangingIndent(line, most))
  const lines: string[] = []
  let rest = line
  while (rest.length > most) {
    const space = rest.lastIndexOf(' ', most)
    if (space <= indent.length) break
    lines.push(rest.slice(0, space).trimEnd())
    rest = indent + rest.slice(space + 1)
  }
  return [...lines, rest].join('\n')
}

/** Where the last column of a line begins, or the line itself. */
function hangingIndent(line: string, most: number): number {
  const columns = [...line.matchAll(/ {2,}(?=\S)/g)].map(({ index, 0: gap }) => index + gap.length)
  return columns.filter((at) => at < most / 2).at(-1) ?? /^ */.exec(line)![0].length
}
