// A table of options: what is parsed, what the texts come to, what the help says.

import { describe, expect, it } from 'vitest'
import { listed } from '../../src/cli/format.ts'
import {
  flag,
  given,
  integer,
  oneOf,
  optionLines,
  parse,
  someOf,
  value,
  values,
} from '../../src/cli/options.ts'
import { UsageError } from '../../src/cli/usage.ts'

const OPTIONS = {
  out: value('DIR', 'where to'),
  pages: value('N', 'how many,\nand no more', integer(1, 9)),
  kind: value('NAME', 'which', oneOf(['a', 'b'])),
  kinds: value('NAME,NAME', 'which ones', someOf(['a', 'b', 'c'])),
  limit: values('N', 'as often as wanted', integer(2)),
  force: flag('at any price'),
}

describe('a table of options', () => {
  it('reads what was given, and nothing else', () => {
    const args = '--pages 3 here --kinds b,a,b --limit 2 --out x --limit 7 --force there --kind b'.split(' ')
    const { values, positionals } = parse(OPTIONS, args)
    expect(values).toEqual({ pages: 3, kinds: ['b', 'a'], limit: [2, 7], out: 'x', force: true, kind: 'b' })
    expect(positionals).toEqual(['here', 'there'])
    expect(parse(OPTIONS, []).values).toEqual({})
  })

  it.each([
    ['--pages 0', /^--pages takes an integer from 1 to 9, got "0"$/],
    ['--limit 4 --limit 1', /^--limit takes an integer of at least 2, got "1"$/],
    ['--limit 1e3', /got "1e3"$/],
    ['--kind c', /^--kind takes one of a, b, got "c"$/],
    ['--kinds a,,b', /^--kinds takes one of a, b, c, got ""$/],
    ['--fast', /'--fast'.*; see --help$/],
    ['--out', /; see --help$/],
    ['--force=yes', /; see --help$/],
  ])('refuses %s', (line, message) => {
    expect(() => parse(OPTIONS, line.split(' '))).toThrow(UsageError)
    expect(() => parse(OPTIONS, line.split(' '))).toThrow(message)
  })

  it('is a line each in the help, --help last', () => {
    expect(optionLines(OPTIONS, 20).split('\n')).toEqual([
      '  --out DIR         where to',
      '  --pages N         how many,',
      '                    and no more',
      '  --kind NAME       which',
      '  --kinds NAME,NAME which ones',
      '  --limit N         as often as wanted',
      '  --force           at any price',
      '  --help            this text',
    ])
  })
})

it('what was not given is left out', () => {
  expect(Object.keys(given({ a: 1, b: undefined, c: 0, d: null, e: false }))).toEqual(['a', 'c', 'd', 'e'])
})

it('names are listed as one says them', () => {
  expect([['a'], ['a', 'b'], ['a', 'b', 'c']].map(listed)).toEqual(['a', 'a or b', 'a, b or c'])
})
