// Access that goes beyond what a mapping allows or is watched: writes by force, and writes to protected pages.

import { describe, expect, it } from 'vitest'
import { addFilled, bootHost, errnoOf, fill, holds, PAGE, pageOf } from '../support/world.ts'

const force = { force: true }

describe('a write by force', () => {
  it('goes to a private copy of a page that may not be written', async () => {
    const host = await bootHost()
    const mm = host.createMm()
    const at = addFilled(mm, 2, 7, { mergeable: false })
    const child = mm.fork()
    mm.mprotect(at, 2 * PAGE, 'PROT_READ')
    mm.write(at, pageOf(8), force)
    expect(holds(mm, at, 1, 8)).toBe(true)
    expect(holds(child, at, 2, 7)).toBe(true)
    expect(errnoOf(() => mm.write(at, pageOf(9)))).toBe('EFAULT')
    host.audit()
  })

  it('is refused where a shared mapping is not writable, and does not make it so', async () => {
    const host = await bootHost()
    const mm = host.createMm()
    const at = mm.mmap(PAGE, { shared: true })
    fill(mm, at, 1, 7)
    mm.mprotect(at, PAGE, 'PROT_READ')
    expect(errnoOf(() => mm.write(at, pageOf(8), force))).toBe('EFAULT')
    expect(holds(mm, at, 1, 7)).toBe(true)
    mm.mprotect(at, PAGE, 'PROT_READ|PROT_WRITE')
    mm.write(at, pageOf(8), force)
    expect(holds(mm, at, 1, 8)).toBe(true)
    host.audit()
  })
})

describe('userfault write protection', () => {
  it('needs a range that is registered as a whole', async () => {
    const mm = (await bootHost()).createMm()
    const at = addFilled(mm, 4, 7, { mergeable: false })
    expect(errnoOf(() => mm.userfaultWriteProtect(at, 4 * PAGE, true))).toBe('ENOENT')
    mm.registerUserfault(at, 2 * PAGE, { onWriteProtect: () => {} })
    expect(errnoOf(() => mm.userfaultWriteProtect(at, 4 * PAGE, true))).toBe('ENOENT')
    expect(errnoOf(() => mm.userfaultWriteProtect(at, 2 ** 30, true))).toBe('ENOMEM')
    mm.userfaultWriteProtect(at, 2 * PAGE, true)
    expect(errnoOf(() => mm.write(at, pageOf(8)))).toBe('EAGAIN')
    mm.write(at + 2 * PAGE, pageOf(8))
  })

  it('reports writes by force too, and lets them through when the handler does', async () => {
    const host = await bootHost()
    const mm = host.createMm()
    const at = addFilled(mm, 1, 7, { mergeable: false })
    let letGo = false
    const heard: number[] = []
    mm.registerUserfault(at, PAGE, {
      onWriteProtect({ address }) {
        heard.push(address)
        if (letGo) mm.userfaultWriteProtect(address, PAGE, false)
      },
    })
    mm.userfaultWriteProtect(at, PAGE, true)
    expect(errnoOf(() => mm.write(at, pageOf(8), force))).toBe('EAGAIN')
    expect(errnoOf(() => mm.write(at, pageOf(8)))).toBe('EAGAIN')
    expect(holds(mm, at, 1, 7)).toBe(true)
    letGo = true
    mm.write(at, pageOf(8), force)
    expect(heard).toEqual([at, at, at])
    expect(holds(mm, at, 1, 8)).toBe(true)
    host.audit()
  })
})

describe('a device', () => {
  it('cannot write to the zero page through a reference for reading', async () => {
    const host = await bootHost()
    const [mm, other] = [host.createMm(), host.createMm()]
    const at = mm.mmap(PAGE)
    const reference = mm.get(at, PAGE)
    expect(() => reference.write(0, pageOf(8))).toThrow(/`write: true`/)
    expect(holds(other, other.mmap(PAGE), 1, 0)).toBe(true)
    reference.release()
    const written = mm.get(at, PAGE, { write: true })
    written.write(0, pageOf(8))
    expect(holds(mm, at, 1, 8)).toBe(true)
    written.release()
    host.audit()
  })
})
