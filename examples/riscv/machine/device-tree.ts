// The flattened device tree that tells Linux what the machine has. Devicetree Specification 0.4, chapter 5.

import { RAM_BASE, TIMEBASE_HZ } from '../cpu/state.ts'
import { PLIC, PLIC_BYTES, UART, UART_SOURCE } from './machine.ts'

const MAGIC = 0xd00dfeed
const BEGIN = 1
const END = 2
const PROPERTY = 3
const FINISH = 9
const HEADER = 40
const RESERVATIONS = 16

type Value = string | readonly string[] | number | readonly number[] | true
interface Node {
  readonly [name: string]: Value | Node
}

export interface Tree {
  readonly ramBytes: number
  readonly bootArguments: string
  /** Where the initial file system lies. */
  readonly initrd: { readonly start: number; readonly end: number }
}

/** The tree of a machine, as the bytes that a1 points to. */
export function deviceTree({ ramBytes, bootArguments, initrd }: Tree): Uint8Array {
  const interrupts = 1
  const plic = 2
  return flatten({
    '#address-cells': 2,
    '#size-cells': 2,
    compatible: 'riscv-virtio',
    model: 'pagefold,example',
    chosen: {
      bootargs: bootArguments,
      'linux,initrd-start': [0, initrd.start],
      'linux,initrd-end': [0, initrd.end],
      'stdout-path': `/soc/serial@${UART.toString(16)}`,
    },
    [`memory@${RAM_BASE.toString(16)}`]: { device_type: 'memory', reg: [0, RAM_BASE, 0, ramBytes] },
    cpus: {
      '#address-cells': 1,
      '#size-cells': 0,
      'timebase-frequency': TIMEBASE_HZ,
      'cpu@0': {
        device_type: 'cpu',
        reg: 0,
        status: 'okay',
        compatible: 'riscv',
        // No F, no D: so Linux has no floating point, nor have its programs.
        'riscv,isa-base': 'rv64i',
        'riscv,isa-extensions': ['i', 'm', 'a', 'c', 'zicntr', 'zicsr', 'zifencei'],
        'riscv,isa': 'rv64imac_zicntr_zicsr_zifencei',
        'mmu-type': 'riscv,sv39',
        'interrupt-controller': {
          '#interrupt-cells': 1,
          'interrupt-controller': true,
          compatible: 'riscv,cpu-intc',
          phandle: interrupts,
        },
      },
    },
    soc: {
      '#address-cells': 2,
      '#size-cells': 2,
      compatible: 'simple-bus',
      ranges: true,
      [`plic@${PLIC.toString(16)}`]: {
        compatible: ['sifive,plic-1.0.0', 'riscv,plic0'],
        '#interrupt-cells': 1,
        '#address-cells': 0,
        'interrupt-controller': true,
        'interrupts-extended': [interrupts, 11, interrupts, 9],
        reg: [0, PLIC, 0, PLIC_BYTES],
        'riscv,ndev': 31,
        phandle: plic,
      },
      [`serial@${UART.toString(16)}`]: {
        compatible: 'ns16550a',
        reg: [0, UART, 0, 0x100],
        'clock-frequency': 3686400,
        'interrupt-parent': plic,
        interrupts: UART_SOURCE,
      },
    },
  })
}

class Writer {
  private readonly words: number[] = []
  private readonly names = new Map<string, number>()
  private namesLength = 0

  node(name: string, node: Node): void {
    this.word(BEGIN)
    this.bytes(text(name))
    // Properties stand before the nodes below.
    for (const [key, value] of Object.entries(node)) if (!isNode(value)) this.property(key, value)
    for (const [key, value] of Object.entries(node)) if (isNode(value)) this.node(key, value)
    this.word(END)
  }

  finish(): Uint8Array {
    this.word(FINISH)
    const structure = Uint8Array.from(this.words)
    const names = text([...this.names.keys()].join('\0'))
    const structureAt = HEADER + RESERVATIONS
    const namesAt = structureAt + structure.length
    const total = namesAt + names.length
    const out = new Uint8Array(total)
    const view = new DataView(out.buffer)
    const header = [MAGIC, total, structureAt, namesAt, HEADER, 17, 16, 0, names.length, structure.length]
    header.forEach((word, i) => {
      view.setUint32(4 * i, word)
    })
    out.set(structure, structureAt)
    out.set(names, namesAt)
    return out
  }

  private property(name: string, value: Value): void {
    const bytes = bytesOf(value)
    this.word(PROPERTY)
    this.word(bytes.length)
    this.word(this.nameAt(name))
    this.bytes(bytes)
  }

  private nameAt(name: string): number {
    const known = this.names.get(name)
    if (known !== undefined) return known
    const at = this.namesLength
    this.names.set(name, at)
    this.namesLength += name.length + 1
    return at
  }

  private word(word: number): void {
    this.words.push(word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255)
  }

  private bytes(bytes: Uint8Array): void {
    this.words.push(...bytes)
    while (this.words.length % 4 !== 0) this.words.push(0)
  }
}

function flatten(root: Node): Uint8Array {
  const writer = new Writer()
  writer.node('', root)
  return writer.finish()
}

function isNode(value: Value | Node): value is Node {
  return typeof value === 'object' && !Array.isArray(value)
}

function bytesOf(value: Value): Uint8Array {
  if (value === true) return new Uint8Array(0)
  if (typeof value === 'string') return text(value)
  const list: readonly (number | string)[] = typeof value === 'number' ? [value] : value
  if (typeof list[0] === 'string') return text(list.join('\0'))
  const view = new DataView(new ArrayBuffer(4 * list.length))
  list.forEach((word, i) => {
    view.setUint32(4 * i, Number(word))
  })
  return new Uint8Array(view.buffer)
}

function text(string: string): Uint8Array {
  return new TextEncoder().encode(`${string}\0`)
}
