// What a terminal is shown: tables that fit, texts that are broken at spaces, colours where they are wanted, and how far it is.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Column, count, table } from '../../src/cli/format.ts'
import { Progress } from '../../src/cli/progress.ts'
import { folded, paint, width } from '../../src/cli/terminal.ts'

const VARIABLES = ['NO_COLOR', 'FORCE_COLOR', 'TERM', 'COLUMNS'] as const
const environment = { ...process.env }
const wasTerminal = process.stdout.isTTY

function onTerminal(is: boolean): void {
  Object.defineProperty(process.stdout, 'isTTY', { value: is, configurable: true })
}

beforeEach(() => {
  for (const name of VARIABLES) delete process.env[name]
  onTerminal(false)
})

afterEach(() => {
  for (const name of VARIABLES) {
    if (environment[name] === undefined) delete process.env[name]
    else process.env[name] = environment[name]
  }
  onTerminal(wasTerminal)
})

describe('a number', () => {
  it('has a comma before every three digits', () => {
    for (const number of [0, 7, 999, 1000, 12_345, 999_999, 1_000_000, 2 ** 53, -1, -999, -1000, -123_456]) {
      expect(count(number)).toBe(number.toLocaleString('en-US'))
    }
  })
})

describe('a table', () => {
  const column = (title: string, cells: string[], gives?: number): Column =>
    gives === undefined ? { title, cells } : { title, cells, gives }
  const COLUMNS = [
    column('name', ['a', 'bb']),
    column('second', ['1', '2'], 2),
    column('first', ['3', '4'], 1),
    column('nothing', ['0', '0'], 3),
    column('last', ['5', '6']),
  ]

  it('has all columns where there is room', () => {
    const whole = ['name  second  first  nothing  last', '   a       1      3        0     5']
    expect(table(COLUMNS, 34).split('\n').slice(0, 2)).toEqual(whole)
    expect(table(COLUMNS, Number.POSITIVE_INFINITY)).toBe(table(COLUMNS, 34))
    expect(table(COLUMNS, 34)).not.toContain('no room')
  })

  it.each([
    [33, ['name', 'second', 'first', 'last'], 'no room for nothing'],
    [24, ['name', 'second', 'last'], 'no room for first, nothing'],
    [17, ['name', 'last'], 'no room for second, first, nothing'],
    [1, ['name', 'last'], 'no room for second, first, nothing'],
  ])(
    'of which %i characters fit leaves out what says nothing, then in order, and says so',
    (room, titles, note) => {
      const lines = table(COLUMNS, room).split('\n')
      expect(lines[0]!.trim().split(/ +/)).toEqual(titles)
      expect(lines.slice(3).join(' ')).toBe(note)
      if (room > 1) for (const line of lines) expect(line.length).toBeLessThanOrEqual(room)
    },
  )

  it('is coloured without losing its shape', () => {
    process.env.FORCE_COLOR = '1'
    const [, row] = table(
      [{ title: 'verdict', cells: ['same'], paint: (cell) => paint('bad', cell) }],
      80,
    ).split('\n')
    expect(row).toBe('\x1b[31m   same\x1b[39m')
  })
})

describe('the width', () => {
  it('is that of the terminal, or what COLUMNS says; a pipe has none', () => {
    expect(width()).toBe(Number.POSITIVE_INFINITY)
    process.env.COLUMNS = '72'
    expect(width()).toBe(72)
    process.env.COLUMNS = 'wide'
    expect(width()).toBe(Number.POSITIVE_INFINITY)
    onTerminal(true)
    expect(width()).toBe(process.stdout.columns || 80)
  })
})

describe('a text', () => {
  it('is broken at spaces, and goes on where its last column began', () => {
    const whole = 'short\n\n  --name VALUE    one two three four five'
    expect(folded(whole, 60)).toBe(whole)
    const unbroken = 'sentence after sentence without an end'
    expect(folded(unbroken, 24)).toBe('sentence after sentence\nwithout an end')
    expect(folded('  --name VALUE    one two three four five six', 41)).toBe(
      '  --name VALUE    one two three four five\n                  six',
    )
  })

  it('keeps words that are longer than a line', () => {
    expect(folded(`a ${'b'.repeat(30)} c`, 10)).toBe(`a\n${'b'.repeat(30)} c`)
  })
})

describe('colours', () => {
  const cases: [string, Record<string, string>, boolean, boolean][] = [
    ['in a pipe', {}, false, false],
    ['on a terminal', {}, true, true],
    ['on a terminal that has none', { TERM: 'dumb' }, true, false],
    ['with NO_COLOR', { NO_COLOR: '1' }, true, false],
    ['with an empty NO_COLOR', { NO_COLOR: '' }, true, true],
    ['with FORCE_COLOR in a pipe', { FORCE_COLOR: '1' }, false, true],
    ['with FORCE_COLOR=0 on a terminal', { FORCE_COLOR: '0' }, true, false],
    ['with both', { NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
  ]
  it.each(cases)('%s', (_, variables, terminal, coloured) => {
    Object.assign(process.env, variables)
    onTerminal(terminal)
    expect(paint('good', 'x')).toBe(coloured ? '\x1b[32mx\x1b[39m' : 'x')
  })
})

describe('progress', () => {
  function drawn(isTTY: boolean, columns?: number) {
    const lines: string[] = []
    const clock = { time: 0 }
    const screen = {
      isTTY,
      ...(columns === undefined ? {} : { columns }),
      write: (text: string) => lines.push(text),
    }
    const progress = new Progress(screen, () => clock.time)
    return { lines, progress, at: (ms: number) => void Object.assign(clock, { time: ms }) }
  }

  it('says how far it is in things, and when it will be done', () => {
    const { lines, progress, at } = drawn(true)
    progress.show('scan 3', 0, 4000, 'pages')
    at(1000)
    progress.show('scan 3', 1000, 4000, 'pages')
    expect(lines.at(-1)).toBe(
      `\r\x1b[Kscan 3  ${'█'.repeat(5)}${'░'.repeat(15)}  25 %  1,000 of 4,000 pages  3 s left`,
    )
    at(100_000)
    progress.show('scan 3', 1600, 4000, 'pages')
    expect(lines.at(-1)).toMatch(/ {2}2 min 30 s left$/)
    progress.show('scan 3', 4000, 4000, 'pages')
    expect(lines.at(-1)).toMatch(/100 % {2}4,000 of 4,000 pages$/)
    progress.clear()
    expect(lines.at(-1)).toBe('\r\x1b[K')
  })

  it('begins anew with what it is at, and does not draw more often than one can look', () => {
    const { lines, progress, at } = drawn(true)
    progress.show('scan 1', 1, 100)
    at(10_000)
    progress.show('scan 2', 1, 100)
    expect(lines.at(-1)).toBe(`\r\x1b[Kscan 2  ${'░'.repeat(20)}  1 %`)
    at(10_010)
    progress.show('scan 2', 50, 100)
    expect(lines).toHaveLength(2)
  })

  it('stays on one line, and off what is no terminal', () => {
    const narrow = drawn(true, 30)
    narrow.progress.show('a long name of what it is at', 1, 2, 'pages')
    expect(narrow.lines[0]!.length).toBe('\r\x1b[K'.length + 29)
    const pipe = drawn(false)
    pipe.progress.show('scan 1', 1, 2)
    pipe.progress.clear()
    expect(pipe.lines).toEqual([])
  })
})
