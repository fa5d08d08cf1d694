// What the result says of itself: by which command it was made, when, by which version, and on which machine.

import { element } from './dom.ts'

type Facts = Readonly<Record<string, unknown>>

/** Makes the footer, of as much of this as the result tells. */
export function footer(result: unknown): HTMLElement {
  const { command, date, version, versions, machine } = (result ?? {}) as Facts
  const { processor, cores, kernel } = (machine ?? {}) as Facts
  const { node } = (versions ?? {}) as Facts
  const facts: [string, string | undefined][] = [
    ['Command', text(command)],
    ['Date', day(text(date))],
    ['Version', joined(prefixed('pagefold', version), prefixed('node', node))],
    ['Machine', joined(text(processor), prefixed('cores', cores), text(kernel))],
  ]
  const list = facts.flatMap(([name, value]) =>
    value === undefined
      ? []
      : [element('dt', {}, name), element('dd', {}, name === 'Command' ? element('code', {}, value) : value)],
  )
  return element('footer', {}, ...(list.length === 0 ? [] : [element('dl', {}, ...list)]))
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}

function prefixed(name: string, value: unknown): string | undefined {
  return text(value) === undefined ? undefined : `${name} ${text(value)}`
}

function joined(...parts: readonly (string | undefined)[]): string | undefined {
  const known = parts.filter((part) => part !== undefined)
  return known.length === 0 ? undefined : known.join(', ')
}

/** To the second; the same for every reader, wherever he is. */
function day(iso: string | undefined): string | undefined {
  return iso?.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d).*Z$/, '$1 $2 UTC')
}
