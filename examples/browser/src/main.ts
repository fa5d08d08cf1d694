// The page: hands on what its controls say to the thread with the engine, and draws the pictures that come back.

import { Chart } from './chart.ts'
import { MemoryMap } from './map.ts'
import type { Answer, KnobName, Order, Picture } from './protocol.ts'

const MIB = 4096 / 2 ** 20

const at = (id: string): HTMLElement => document.getElementById(id)!
const form = at('controls') as HTMLFormElement
const control = <Element = HTMLInputElement>(name: string) => form.elements.namedItem(name) as Element
const trouble = at('trouble')

function complain(text: string): void {
  trouble.hidden = false
  trouble.textContent = text
}

if (crossOriginIsolated) start()
else {
  const headers = 'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp'
  complain(`This page needs shared memory: it has to be served with ${headers}.`)
}

function start(): void {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
  const send = (order: Order): void => worker.postMessage(order)
  const map = new MemoryMap(at('guests'), at('inspected'), at('legend'))
  const chart = new Chart(at('chart'))

  worker.onerror = ({ message }) => complain(message)
  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    if ('trouble' in data) {
      complain(data.trouble)
      return
    }
    map.draw(data.picture)
    chart.add(data.picture)
    showFigures(data.picture)
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    map.readColours()
    chart.readColours()
  })
  wire(send)
}

/** Has every control do what it says, once now and then whenever it changes. */
function wire(send: (order: Order) => void): void {
  const knob = (name: KnobName, value: () => number, text = value): void => {
    const apply = (): void => {
      setText(name, String(text()))
      send({ order: 'knob', name, value: value() })
    }
    control(name).addEventListener('input', apply)
    apply()
  }
  knob('pages_to_scan', () => inSteps(control('pages_to_scan').valueAsNumber, 10))
  knob('sleep_millisecs', () => control('sleep_millisecs').valueAsNumber)
  knob('use_zero_pages', () => Number(control('use_zero_pages').checked))
  knob('smart_scan', () => Number(control('smart_scan').checked))

  const pace = (): void => {
    const step = control('pace').valueAsNumber
    const instructions = step === 0 ? 0 : inSteps(step, 2000)
    setText('pace', step === 0 ? 'stands still' : `${instructions / 1000} thousand instructions a turn`)
    send({ order: 'pace', instructions })
  }
  control('pace').addEventListener('input', pace)
  pace()

  const guests = (): void => {
    const kind = control<RadioNodeList>('kind').value as 'riscv' | 'synthetic'
    const count = control('count').valueAsNumber
    setText('count', String(count))
    send({ order: 'guests', kind, count })
  }
  for (const name of ['count', 'kind']) {
    const inputs = form.querySelectorAll<HTMLInputElement>(`input[name=${name}]`)
    for (const input of inputs) input.addEventListener('input', guests)
  }
  guests()

  button('fork', () => send({ order: 'fork' }))
  toggle('pause', (on) => send({ order: 'pause', on }))
  toggle('run', (on) => send({ order: 'knob', name: 'run', value: Number(on) }))
  send({ order: 'knob', name: 'run', value: 1 })
  button('unmerge', () => {
    send({ order: 'knob', name: 'run', value: 2 })
    control<HTMLButtonElement>('run').setAttribute('aria-pressed', 'false')
  })
}

/** A slider's steps, each about twice the one before: 1, 2, 5, 10... times `least`. */
function inSteps(step: number, least: number): number {
  return least * [1, 2, 5][step % 3]! * 10 ** Math.floor(step / 3)
}

function setText(name: string, text: string): void {
  const output = form.elements.namedItem(`${name}-text`)
  if (output instanceof HTMLOutputElement) output.value = text
}

function button(name: string, act: () => void): void {
  control<HTMLButtonElement>(name).addEventListener('click', act)
}

function toggle(name: string, act: (on: boolean) => void): void {
  const element = control<HTMLButtonElement>(name)
  element.addEventListener('click', () => {
    const on = element.getAttribute('aria-pressed') !== 'true'
    element.setAttribute('aria-pressed', String(on))
    act(on)
  })
}

function showFigures({ usedFrames, counters, cowBreaks, millionInstructions, guests }: Picture): void {
  const { pages_shared, pages_sharing, full_scans } = counters
  const figures: readonly (readonly [string, string, string?])[] = [
    ['used', `${(usedFrames * MIB).toFixed(1)} MiB`, 'used'],
    ['saved', `${(pages_sharing * MIB).toFixed(1)} MiB`, 'saved'],
    ['pages_shared', String(pages_shared)],
    ['pages_sharing', String(pages_sharing)],
    ['full_scans', String(full_scans)],
    ['copied again', String(cowBreaks)],
    ['instructions', `${Math.round(millionInstructions)} million`],
  ]
  at('figures').replaceChildren(
    ...figures.map(([label, value, series]) => {
      const group = document.createElement('div')
      if (series !== undefined) group.dataset.series = series
      const term = document.createElement('dt')
      const description = document.createElement('dd')
      term.textContent = label
      description.textContent = value
      group.append(term, description)
      return group
    }),
  )
  at('console').textContent = guests.map(({ name, said }) => `${name}: ${said}`).join('\n')
}
