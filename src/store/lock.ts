// One writer at a time. Who wants to write puts down a file whose name says which process it is, and then looks for others: of
// two who do that, one at least sees the other. A file whose process is gone is taken away; so nothing has to be mended after a
// crash, whenever it was.

import { PagefoldError } from '../errors.ts'
import { beginningOf, type Files, isRunning, nextTurn, ownPid, randomSeed } from '../platform.ts'

const LOCK = /^lock\.(\d+)\.(\d*)\.[0-9a-f]+$/
/** Two who came at once make way for each other, and try again. */
const ATTEMPTS = 3

/** Is this the name of a file of a lock? */
export function isLock(name: string): boolean {
  return LOCK.test(name)
}

/** Takes the lock of a store; returns what gives it back. Throws EBUSY while another has it, and what the file system refuses. */
export async function takeLock(files: Files, dir: string): Promise<() => void> {
  const { fs, path } = files
  for (let attempt = 1; ; attempt++) {
    const name = `lock.${ownPid()}.${beginningOf(files, ownPid())}.${randomSeed().toString(16)}`
    const mine = path.join(dir, name)
    fs.closeSync(fs.openSync(mine, 'wx'))
    const other = otherWriter(files, dir, name)
    if (other === undefined) return () => fs.rmSync(mine, { force: true })
    fs.rmSync(mine)
    if (attempt === ATTEMPTS) throw busy(dir, other)
    await nextTurn()
  }
}

/** The file of somebody else who is there; those of processes that are gone are taken away. */
function otherWriter(files: Files, dir: string, mine: string): string | undefined {
  for (const name of files.fs.readdirSync(dir)) {
    const [, pid, beginning] = LOCK.exec(name) ?? []
    if (pid === undefined || name === mine) continue
    if (isRunning(Number(pid)) && (beginning === '' || beginning === beginningOf(files, Number(pid))))
      return name
    files.fs.rmSync(files.path.join(dir, name), { force: true })
  }
  return undefined
}

function busy(dir: string, name: string): PagefoldError {
  const [, pid] = LOCK.exec(name)!
  const todo = `wait until process ${pid} closes it, or open it to read, with readonly: true`
  const mend = `(if that process is another program, remove ${name})`
  return new PagefoldError('EBUSY', `${dir}: open for writing already: ${todo} ${mend}`)
}
