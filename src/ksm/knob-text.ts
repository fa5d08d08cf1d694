// What a text written to a knob means: Linux's rules for numbers and for switches, as `echo` meets them.
//
// Numbers: an optional +, decimal digits, and one newline at the end if there is one; nothing else, no spaces, no 0x.
// Switches: the first character counts, or the first two of on and off. What stands behind a NUL is not there.
//
// Linux: kstrtouint(), kstrtoint(), kstrtoul(), kstrtobool(), sysfs_streq()

import type { Errno } from '../errors.ts'

/**
 * What a knob's text is read as: `uint`, `ulong`: an integer of 32 or 64 bits without a sign; `int`: with one. `told`: one that is too wide is ERANGE and
 * not EINVAL. `cut to uint`: the low 32 bits of it are kept. `bool`: a switch.
 */
export type KnobText = 'uint' | 'ulong' | 'ulong, told' | 'ulong, cut to uint' | 'int, told' | 'bool'

const UINT = 2n ** 32n
const ULONG = 2n ** 64n
const INT = 2n ** 31n
/** A sign is one of a number only where there are negative ones. */
const UNSIGNED = /^\+?\d+$/
const SIGNED = /^[+-]?\d+$/

/** The number a text stands for, or why it is none. From 2^53 on it is the nearest that a number here can be. */
export function readText(text: string, kind: KnobText): number | Errno {
  const [line] = text.split('\0') as [string]
  if (kind === 'bool') return readSwitch(line)
  const digits = withoutNewline(line)
  if (!(kind === 'int, told' ? SIGNED : UNSIGNED).test(digits)) return 'EINVAL'
  return narrow(BigInt(digits.replace('+', '')), kind)
}

/** The same for a value that is a number already, or true or false. */
export function readNumber(value: number | boolean, kind: KnobText): number | Errno {
  const number = Number(value)
  if (!Number.isInteger(number)) return 'EINVAL'
  return narrow(BigInt(number), kind)
}

/** One newline at the end is what echo adds. Linux: sysfs_streq() */
export function withoutNewline(text: string): string {
  return text.endsWith('\n') ? text.slice(0, -1) : text
}

function narrow(number: bigint, kind: KnobText): number | Errno {
  switch (kind) {
    case 'int, told':
      return number >= -INT && number < INT ? Number(number) : 'ERANGE'
    case 'ulong, told':
      return number < ULONG ? Number(number) : 'ERANGE'
    case 'ulong, cut to uint':
      return number < ULONG ? Number(number % UINT) : 'EINVAL'
    case 'ulong':
      return number < ULONG ? Number(number) : 'EINVAL'
    default:
      return number < UINT ? Number(number) : 'EINVAL'
  }
}

function readSwitch(text: string): number | Errno {
  if (/^(?:[yte1]|on)/i.test(text)) return 1
  return /^(?:[nfd0]|of)/i.test(text) ? 0 : 'EINVAL'
}
