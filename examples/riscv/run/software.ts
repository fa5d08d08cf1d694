// What guests run: a bare program of this example, or Linux with an init. Both say the same: `guest N round R DIGEST`, or that something
// was wrong, and ask who they are if nobody told them.

import { readElf } from '../machine/elf.ts'
import { loadLinux } from '../machine/linux.ts'
import type { Machine } from '../machine/machine.ts'

export interface Software {
  readonly name: string
  /** Does the machine have to be its firmware? */
  readonly firmware: boolean
  readonly ramBytes: number
  /** Puts it into a machine and has it ready to run. `number`: which guest it is; 0: it will ask. */
  load(machine: Machine, number: number): void
}

/** What a guest prints when it wants to be told its number. */
export const QUESTION = 'which guest am I?'

/** A bare program, from its ELF file. */
export function bareProgram(name: string, file: Uint8Array, ramBytes: number): Software {
  const { entry, segments } = readElf(file)
  const load = (machine: Machine, number: number): void => {
    for (const { address, bytes } of segments) machine.board.write(address, bytes)
    machine.start(entry, number)
  }
  return { name, firmware: false, ramBytes, load }
}

/** How much the init of a Linux guest does. */
export interface InitWork {
  readonly pages: number
  readonly rounds: number
  /** Milliseconds of the guest's time between two rounds. */
  readonly pause: number
}

/** Linux, from Debian's kernel and our init. */
export function linux(kernel: Uint8Array, init: Uint8Array, ramBytes: number, work: InitWork): Software {
  const { pages, rounds, pause } = work
  const load = (machine: Machine, number: number): void => {
    loadLinux(machine, { kernel, init, bootArguments: `quiet -- ${pages} ${rounds} ${pause} ${number}` })
  }
  return { name: 'linux', firmware: true, ramBytes, load }
}
